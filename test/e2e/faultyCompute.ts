// Entry of a compute process that does the real jobs, but dies or hangs at those that a test names in a file: what a
// crash of native code, or a kernel that never returns, looks like from outside.
import { readFileSync } from 'node:fs';
import type { Job } from '../../schemas/jobs.ts';
import { serveJobs } from '../../workers/jobServer.ts';
import { realJobs } from '../../workers/realJobs.ts';
import { faultsVariable, type Faults } from './faults.ts';

function meetFault(job: Job): void {
  const faults = JSON.parse(readFileSync(process.env[faultsVariable]!, 'utf8')) as Faults;
  switch (faults[`${job.kind}/${'shard' in job ? job.shard : ''}`]) {
    case 'crash':
      process.kill(process.pid, 'SIGSEGV');
      break;
    case 'hang':
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  }
}

serveJobs({
  ...realJobs,
  async runJob(job, context) {
    meetFault(job);
    return realJobs.runJob(job, context);
  },
});
