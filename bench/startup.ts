// From nothing to the first kernel: a compute process (workers/computeProcess.ts, as every worker has them) that opens a
// store and samples a small shard, against a Python process that imports PyTorch and multiplies. Then what a job costs
// on a process that is warm.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { resolveInput } from '../presets/resolve.ts';
import { ComputeProcess } from '../workers/computeProcess.ts';
import { withFolder, type Bench, type BenchOutcome, type BenchSettings } from './bench.ts';
import { residentBytes } from './machine.ts';
import { peersPython } from './peers/setup.ts';
import { compare, megabytes } from './result.ts';
import { median } from './rounds.ts';
import { SideError, threadEnv } from './side.ts';
import { storeForSampling, type SampleJob } from './store.ts';

/** A small shard: what is measured is all that is around it. */
const config = resolveInput({ preset: 'tiny', activations: { promptsPerShard: 2, batchPrompts: 2 } });
const warmJobs = 20;

export const startup: Bench = {
  summary: 'compute process to its first kernel against a Python process with PyTorch: time, memory; a job on a warm process',
  run: (settings) => withFolder((folder) => run(folder, settings)),
};

interface Start {
  ms: number;
  rssBytes: number;
  version: string;
}

interface OurStart extends Start {
  /** Round trips of further jobs, and what the jobs themselves took of them. */
  warm: { ms: number; jobMs: number }[];
}

async function run(folder: string, { threads, rounds, log }: BenchSettings): Promise<BenchOutcome> {
  const python = await peersPython(log);
  const ours: OurStart[] = [];
  const peers: Start[] = [];
  for (let round = 0; round <= rounds; round++) {
    // A store of its own: a shard that is there is not made again.
    const job = await storeForSampling(join(folder, String(round)), config, 1 + warmJobs);
    const own = await startOurs(job, threads);
    const peer = await startPeer(python, threads);
    log(`${round === 0 ? 'warm-up' : `round ${round}/${rounds}`}  ours ${own.ms.toFixed(0)} ms, ${peer.version} ${peer.ms.toFixed(0)} ms`);
    // the first reads libraries from disk
    if (round === 0) continue;
    ours.push(own);
    peers.push(peer);
  }
  const { version } = peers[0]!;
  const start = median(ours.map(({ ms }) => ms));
  const warm = ours.flatMap((one) => one.warm);
  const jobMs = median(warm.map((one) => one.ms));
  return {
    cases: [
      compare('process to first kernel: time', 'ms', start, median(peers.map(({ ms }) => ms)), version),
      compare('process to first kernel: resident memory', 'MB', megabytes(median(ours.map(({ rssBytes }) => rssBytes))), megabytes(median(peers.map(({ rssBytes }) => rssBytes))), version),
      compare('a small job on a warm process: time', 'ms', jobMs, start, 'a compute process for each job'),
    ],
    notes: [`overhead of a job on a warm process: ${median(warm.map((one) => one.ms - one.jobMs)).toFixed(2)} ms, the rest is the job's own`],
    backend: ours[0]!.version,
  };
}

async function startOurs({ artifact, storeUri }: SampleJob, threads: number): Promise<OurStart> {
  const compute = new ComputeProcess({ threads });
  const sample = async (shard: number) => {
    const started = performance.now();
    const { seconds } = await compute.run({ kind: 'sampleShard', artifact, storeUri, shard });
    return { ms: performance.now() - started, jobMs: seconds * 1000 };
  };
  try {
    const { ms } = await sample(0);
    const { rssBytes } = residentBytes(compute.pid);
    const warm = [];
    for (let shard = 1; shard <= warmJobs; shard++) warm.push(await sample(shard));
    return { ms, rssBytes, warm, version: compute.backend().backend };
  } finally {
    await compute.close();
  }
}

async function startPeer(python: string, threads: number): Promise<Start> {
  const started = performance.now();
  const script = fileURLToPath(new URL('./peers/first_kernel.py', import.meta.url));
  const child = spawn(python, [script, String(threads)], { env: threadEnv(threads, process.env), stdio: ['pipe', 'pipe', 'inherit'] });
  const closed = new Promise((done) => child.once('close', done));
  try {
    for await (const version of createInterface({ input: child.stdout })) return { ms: performance.now() - started, rssBytes: residentBytes(child.pid).rssBytes, version };
    throw new SideError(`${python} ended without multiplying`);
  } finally {
    child.kill('SIGKILL');
    await closed;
  }
}
