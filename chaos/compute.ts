// A compute process as workers/compute.ts is, which notes what it makes: by its journal a shard that was computed again
// although its receipt was there can be told from one that was found.
import { appendFileSync } from 'node:fs';
import { readReceipt } from '../data/artifact.ts';
import type { ArtifactStore } from '../data/artifactStore.ts';
import { blockReceipt } from '../data/dashboardSite.ts';
import { specOf } from '../data/inputs.ts';
import { planStage } from '../data/plans.ts';
import type { Job } from '../schemas/jobs.ts';
import { serveJobs } from '../workers/jobServer.ts';
import { realJobs } from '../workers/realJobs.ts';
import { journalVariable, type JournalEntry } from './journal.ts';

const journal = process.env[journalVariable]!;

serveJobs({
  ...realJobs,
  async runJob(job, context) {
    const part = await receiptNumber(job, context.store);
    if (part === undefined) return realJobs.runJob(job, context);
    const hadReceipt = (await readReceipt(context.store, job.artifact, part)) !== null;
    let written = 0;
    const counting: ArtifactStore = new Proxy(context.store, {
      get(target, name: keyof ArtifactStore) {
        const member: unknown = target[name];
        if (typeof member !== 'function') return member;
        if (name === 'put' || name === 'putPieces') written++;
        return member.bind(target) as unknown;
      },
    });
    const result = await realJobs.runJob(job, { ...context, store: counting });
    const entry: JournalEntry = { stage: job.artifact.stage, part, pid: process.pid, hadReceipt, written };
    appendFileSync(journal, `${JSON.stringify(entry)}\n`);
    return result;
  },
});

/** The number of the receipt that a job ends with; undefined for training. */
async function receiptNumber(job: Job, store: ArtifactStore): Promise<number | undefined> {
  if ('shard' in job) return job.shard;
  if (!('block' in job)) return undefined;
  const { shards } = await planStage(store, await specOf(store, job.artifact, 'exportDashboard'));
  return blockReceipt(shards, job.block);
}
