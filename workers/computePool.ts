// A worker's slots: as many compute processes as it may run jobs at once, each with its share of the threads, and on a
// machine with several GPUs each with one of them.
import { availableParallelism } from 'node:os';
import type { Compute } from '../activities/deps.ts';
import type { Job, JobKind, JobResult } from '../schemas/jobs.ts';
import { StoppedError } from '../stages/context.ts';
import { ComputeProcess, type ComputeProcessOptions, type JobOptions } from './computeProcess.ts';

export interface ComputePoolOptions extends ComputeProcessOptions {
  slots: number;
}

/** Runs jobs in at most `slots` processes; further jobs wait for a free one. */
export class ComputePool implements Compute {
  private readonly all: ComputeProcess[];
  private readonly free: ComputeProcess[];
  private readonly waiting: ((process: ComputeProcess) => void)[] = [];
  private last: ComputeProcess;

  constructor({ slots, ...options }: ComputePoolOptions) {
    const env = options.env ?? process.env;
    const threads = options.threads ?? Math.max(1, Math.floor(availableParallelism() / slots));
    this.all = Array.from({ length: slots }, (_, slot) => new ComputeProcess({ ...options, threads, env: { ...env, ...deviceOf(slot, slots, env) } }));
    this.free = [...this.all];
    this.last = this.all[0]!;
  }

  backend(): { backend: string; device: string; threads: number } {
    return this.last.backend();
  }

  async run<Kind extends JobKind>(job: Extract<Job, { kind: Kind }>, options: JobOptions = {}): Promise<JobResult<Kind>> {
    const process = await this.acquire(options.signal);
    try {
      return await process.run<Kind>(job, options);
    } finally {
      this.last = process;
      const next = this.waiting.shift();
      if (next === undefined) this.free.push(process);
      else next(process);
    }
  }

  /** Ends all processes; returns when they are gone. */
  async close(): Promise<void> {
    await Promise.all(this.all.map((process) => process.close()));
  }

  private async acquire(signal: AbortSignal | undefined): Promise<ComputeProcess> {
    const free = this.free.pop();
    if (free !== undefined) return free;
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        this.waiting.splice(this.waiting.indexOf(take), 1);
        reject(new StoppedError());
      };
      const take = (process: ComputeProcess) => {
        signal?.removeEventListener('abort', onAbort);
        resolve(process);
      };
      if (signal?.aborted) return reject(new StoppedError());
      signal?.addEventListener('abort', onAbort, { once: true });
      this.waiting.push(take);
    });
  }
}

/** One GPU, one slot. With a single slot the process sees what the worker sees. */
function deviceOf(slot: number, slots: number, env: Record<string, string | undefined>): Record<string, string> {
  if (slots === 1) return {};
  const visible = env['CUDA_VISIBLE_DEVICES']?.split(',') ?? [];
  return { CUDA_VISIBLE_DEVICES: visible.length === 0 ? String(slot) : visible[slot % visible.length]! };
}
