// The compute process' side of the conversation: takes jobs, reports, stops at a step boundary when told to, and never
// outlives its worker. What a job does is given by the entry (compute.ts), so that tests can serve jobs of their own.
import { openStore, type ArtifactStore } from '../data/artifactStore.ts';
import { UserError } from '../schemas/errors.ts';
import { toCompute, type FromCompute, type Job, type JobProgress } from '../schemas/jobs.ts';
import type { JobContext } from '../stages/context.ts';

/** Where the tensors are. */
export interface Backend {
  backend: string;
  device: string;
  threads: number;
}

export interface JobServer {
  /** False for jobs that touch no tensors: TensorFlow is then not loaded. */
  needsTensors(job: Job): boolean;
  loadBackend(): Promise<Backend>;
  /** Throws UserError where a retry can't help, and StoppedError when it stopped on request. */
  runJob(job: Job, context: JobContext): Promise<unknown>;
}

/** Progress is sent this often at most, but for a new checkpoint: a step may take a millisecond. */
const reportEveryMs = 250;
const parentCheckMs = 1_000;

/** Serves jobs until the channel to the worker closes or SIGTERM arrives, and then ends the process. */
export function serveJobs({ needsTensors, loadBackend, runJob }: JobServer): void {
  const parentPid = process.ppid;
  const stores = new Map<string, ArtifactStore>();
  let backend: Backend | undefined;
  let current: { id: number; stop: boolean } | undefined;
  let terminating = false;

  // A dead worker's job may already run elsewhere: two must not write checkpoints of one artifact.
  process.on('disconnect', () => process.exit(1));
  setInterval(() => process.ppid !== parentPid && process.exit(1), parentCheckMs).unref();
  // Ctrl-C reaches the whole process group; the worker says what is to be done.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => {
    terminating = true;
    if (current === undefined) process.exit(0);
    current.stop = true;
  });
  process.on('message', (raw) => {
    const message = toCompute.parse(raw);
    if (message.type === 'run') void run(message.id, message.job);
    else if (current?.id === message.id) current.stop = true;
  });
  send({ type: 'ready', backend: 'none', device: 'cpu', threads: 1 });

  async function run(id: number, job: Job): Promise<void> {
    const state = { id, stop: terminating };
    current = state;
    const answer = await answerTo(id, job, state);
    current = undefined;
    send(answer, () => terminating && process.exit(0));
  }

  async function answerTo(id: number, job: Job, state: { stop: boolean }): Promise<FromCompute> {
    try {
      const device = needsTensors(job) ? (await deviceOfTensors()).device : 'cpu';
      const result = await runJob(job, { store: storeAt(job.storeUri), device, report: reporter(id), shouldStop: () => state.stop });
      return { type: 'done', id, result };
    } catch (error) {
      return failureOf(id, error);
    }
  }

  async function deviceOfTensors(): Promise<Backend> {
    if (backend === undefined) {
      backend = await loadBackend();
      send({ type: 'ready', ...backend });
    }
    return backend;
  }

  function storeAt(uri: string): ArtifactStore {
    const store = stores.get(uri) ?? openStore(uri);
    stores.set(uri, store);
    return store;
  }
}

function reporter(id: number): (progress: JobProgress) => void {
  let sentAtMs = -Infinity;
  let sentCheckpoint: number | undefined;
  return (progress) => {
    const nowMs = performance.now();
    if (nowMs - sentAtMs < reportEveryMs && progress.checkpointStep === sentCheckpoint) return;
    sentAtMs = nowMs;
    sentCheckpoint = progress.checkpointStep;
    send({ type: 'progress', id, progress });
  };
}

function failureOf(id: number, error: unknown): FromCompute {
  if (error instanceof Error && error.name === 'StoppedError') return { type: 'stopped', id };
  if (error instanceof UserError) return { type: 'failed', id, name: error.name, message: error.message, remedy: error.remedy, stack: error.stack, retryable: false };
  const { name, message, stack } = error instanceof Error ? error : new Error(String(error));
  return { type: 'failed', id, name, message, stack, retryable: true };
}

function send(message: FromCompute, sent: () => void = () => undefined): void {
  // An error is that of a closed channel, and then 'disconnect' ends the process.
  process.send?.(message, undefined, undefined, sent);
}
