// The worker's side of the conversation: one warm child process in which jobs run, so that a synchronous kernel starves
// no heartbeat and a native crash takes no worker with it.
import { fork, type ChildProcess } from 'node:child_process';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { UserError } from '../schemas/errors.ts';
import { fromCompute, jobResults, type FromCompute, type Job, type JobKind, type JobProgress, type JobResult, type ToCompute } from '../schemas/jobs.ts';
import { StoppedError } from '../stages/context.ts';
import { ComputeProcessDied, ComputeProtocolError } from './computeErrors.ts';
import type { Backend } from './jobServer.ts';

export interface ComputeProcessOptions {
  /** Module that calls serveJobs; default: compute.ts. */
  entry?: string;
  /** Threads of one operation; TensorFlow reads them once, when it loads. */
  threads?: number;
  env?: Record<string, string | undefined>;
  /** How long a job may take to reach a step boundary after it was told to stop. */
  stopGraceMs?: number;
  /** A process that reports nothing for this long hangs: it is ended, and the next attempt goes on from its checkpoint. */
  silenceLimitMs?: number;
  /** Takes what the process writes to stdout and stderr; default: this process' stderr. */
  onLine?: (line: string) => void;
}

export interface JobOptions {
  signal?: AbortSignal;
  onProgress?: (progress: JobProgress) => void;
}

interface Child {
  process: ChildProcess;
  /** Why it was ended, when that was for its silence. */
  hung: string;
  lastLines: string[];
  ready: Promise<void>;
  closed: Promise<string>;
}

const keptLines = 20;
const killAfterTerminateMs = 5_000;
/** Longer than the longest step of any preset on two cores (half a million tokens: half a minute) by far. */
const usualSilenceLimitMs = 15 * 60_000;
/** What libtensorflow writes on loading whatever the log level. */
const noise = /^(WARNING: All log messages before absl::InitializeLog|[IW]0000 .*oneDNN custom operations are on)/;
// By absolute path, so that it does not matter in which folder the worker was started.
const tsxLoader = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;

/**
 * One compute process; started by the first job, reused for the next ones, replaced after it died or its job failed or
 * was stopped (whatever the job held, GPU memory above all, is then surely free).
 *
 * @example
 * const compute = new ComputeProcess({ threads: 2 });
 * const receipt = await compute.run({ kind: 'sampleShard', artifact, storeUri, shard: 3 }, { onProgress: console.log });
 * await compute.close();
 */
export class ComputeProcess {
  private child: Child | undefined;
  private busy = false;
  private nextId = 1;
  private lastBackend: Backend = { backend: 'none', device: 'cpu', threads: 1 };

  constructor(private readonly options: ComputeProcessOptions = {}) {}

  /** The process' id while it runs. */
  get pid(): number | undefined {
    return this.child?.process.pid;
  }

  /** Where the tensors are, as the process last said. */
  backend(): Backend {
    return this.lastBackend;
  }

  /**
   * Runs a job and returns its checked result. One at a time.
   *
   * @throws UserError as the job threw it; StoppedError when `signal` was aborted and the job has saved what it had;
   * ComputeProcessDied with the signal or exit code and the process' last lines; other errors by the job's own names.
   */
  async run<Kind extends JobKind>(job: Extract<Job, { kind: Kind }>, { signal, onProgress = () => undefined }: JobOptions = {}): Promise<JobResult<Kind>> {
    if (this.busy) throw new Error('a compute process does one job at a time');
    if (signal?.aborted) throw new StoppedError();
    this.busy = true;
    try {
      this.child ??= this.start();
      const child = this.child;
      await Promise.race([child.ready, child.closed.then((how) => Promise.reject(died(child, how, 'while it started')))]);
      const result = await this.converse(child, job, signal, onProgress);
      return jobResults[job.kind].parse(result) as JobResult<Kind>;
    } catch (error) {
      await this.close();
      throw error;
    } finally {
      this.busy = false;
    }
  }

  /** Ends the process at once and returns when it is gone. What it had saved stays. */
  async close(): Promise<void> {
    const { child } = this;
    if (child === undefined) return;
    child.process.kill('SIGKILL');
    await child.closed;
  }

  private async converse(child: Child, job: Job, signal: AbortSignal | undefined, onProgress: (progress: JobProgress) => void): Promise<unknown> {
    const id = this.nextId++;
    const timers: NodeJS.Timeout[] = [];
    const { silenceLimitMs = usualSilenceLimitMs } = this.options;
    const silence = setTimeout(() => {
      child.hung = `made no progress for ${silenceLimitMs / 1_000} s, was taken to hang and `;
      child.process.kill('SIGKILL');
    }, silenceLimitMs);
    timers.push(silence);
    let listen: (raw: unknown) => void = () => undefined;
    const stop = () => {
      tell(child, { type: 'stop', id });
      const { stopGraceMs = 30_000 } = this.options;
      timers.push(setTimeout(() => child.process.kill('SIGTERM'), stopGraceMs), setTimeout(() => child.process.kill('SIGKILL'), stopGraceMs + killAfterTerminateMs));
    };
    try {
      return await new Promise((resolve, reject) => {
        listen = (raw) => {
          const parsed = fromCompute.safeParse(raw);
          if (!parsed.success) return reject(malformed(parsed.error.message));
          const message = parsed.data;
          silence.refresh();
          if (message.type === 'ready' || message.id !== id) return;
          if (message.type === 'progress') onProgress(message.progress);
          else if (message.type === 'done') resolve(message.result);
          else reject(message.type === 'stopped' ? stoppedError(signal) : errorOf(message));
        };
        child.process.on('message', listen);
        void child.closed.then((how) => reject(died(child, how, `while it worked on ${describe(job)}`)));
        signal?.addEventListener('abort', stop, { once: true });
        tell(child, { type: 'run', id, job });
        if (signal?.aborted) stop();
      });
    } finally {
      child.process.off('message', listen);
      signal?.removeEventListener('abort', stop);
      for (const timer of timers) clearTimeout(timer);
    }
  }

  private start(): Child {
    const { entry = fileURLToPath(new URL('./compute.ts', import.meta.url)), threads, env = process.env } = this.options;
    const threading = threads === undefined ? {} : { TF_NUM_INTRAOP_THREADS: String(threads), TF_NUM_INTEROP_THREADS: '1' };
    const forked = fork(entry, { execArgv: ['--import', tsxLoader], env: { ...env, ...threading }, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
    const child: Child = {
      process: forked,
      hung: '',
      lastLines: [],
      ready: new Promise((resolve) => {
        forked.on('message', (raw) => {
          const { success, data } = fromCompute.safeParse(raw);
          if (!success || data.type !== 'ready') return;
          const { backend, device, threads: count } = data;
          this.lastBackend = { backend, device, threads: count };
          resolve();
        });
      }),
      closed: new Promise((resolve) => {
        forked.on('error', (error) => forked.pid === undefined && resolve(`did not start: ${error.message}`));
        forked.on('close', (code, signal) => resolve(signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`));
      }).then((how) => {
        if (this.child === child) this.child = undefined;
        return how as string;
      }),
    };
    const { onLine = (line: string) => void process.stderr.write(`[compute ${forked.pid}] ${line}\n`) } = this.options;
    for (const stream of [forked.stdout!, forked.stderr!]) {
      createInterface({ input: stream }).on('line', (line) => {
        if (noise.test(line)) return;
        child.lastLines = [...child.lastLines, line].slice(-keptLines);
        onLine(line);
      });
    }
    return child;
  }
}

function tell(child: Child, message: ToCompute): void {
  // An error here is that of a process that has just died, which `closed` reports.
  if (child.process.connected) child.process.send(message, () => undefined);
}

function describe(job: Job): string {
  const { kind, artifact } = job;
  const part = 'shard' in job ? ` shard ${job.shard}` : 'block' in job ? ` block ${job.block}` : 'toStep' in job ? ` to step ${job.toStep}` : '';
  return `${kind}${part} of ${artifact.stage}/${artifact.key.slice(0, 12)}`;
}

function died(child: Child, how: string, during: string): ComputeProcessDied {
  const lines = child.lastLines.length === 0 ? 'It wrote nothing.' : `Its last lines:\n${child.lastLines.join('\n')}`;
  return new ComputeProcessDied(`the compute process (pid ${child.process.pid}) ${child.hung}${how} ${during}. ${lines}`);
}

/** A process that stopped of its own accord was told to by SIGTERM: that is for the next attempt, not a cancellation. */
function stoppedError(signal: AbortSignal | undefined): Error {
  return signal?.aborted ? new StoppedError() : new ComputeProcessDied('the compute process was told to end (SIGTERM) and saved a checkpoint');
}

function errorOf({ name, message, remedy, stack }: Extract<FromCompute, { type: 'failed' }>): Error {
  if (name === 'UserError') return new UserError(message, remedy ?? '');
  return Object.assign(new Error(message), { name, stack });
}

function malformed(why: string): ComputeProtocolError {
  return new ComputeProtocolError(`the compute process sent a message that is not one: ${why}`);
}
