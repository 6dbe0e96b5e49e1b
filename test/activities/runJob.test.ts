// A job as an activity, over a real compute process: heartbeats, cancellation, shutdown, and failures by name.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { ApplicationFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ActivityDeps } from '../../activities/deps.ts';
import { toFailure } from '../../activities/failures.ts';
import { createGpuActivities } from '../../activities/gpu.ts';
import { openStore } from '../../data/artifactStore.ts';
import { UserError } from '../../schemas/errors.ts';
import { jobProgress, type JobProgress } from '../../schemas/jobs.ts';
import { ComputePool } from '../../workers/computePool.ts';

const quiet = { logger: new DefaultLogger('ERROR') };
const artifact = { stage: 'trainTransformer', key: 'b'.repeat(64) } as const;
let folder: string;
let compute: ComputePool;
let deps: ActivityDeps;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'saeflow-runjob-'));
  compute = new ComputePool({ slots: 1, entry: resolve(import.meta.dirname, '../workers/testCompute.ts'), onLine: () => undefined });
  deps = { store: openStore(folder), compute, machine: { codeVersion: 'test', machine: 'here' }, cwd: folder };
});
afterEach(async () => {
  await compute.close();
  rmSync(folder, { recursive: true, force: true });
});

const savedStep = () => Number(readFileSync(join(folder, 'trainTransformer', artifact.key, 'work/step'), 'utf8'));

/** Starts the counting job; `reached` resolves at its first heartbeat with progress. */
function startCounting(toStep: number) {
  const environment = new MockActivityEnvironment({}, quiet);
  const reached = new Promise<JobProgress>((done) => {
    environment.on('heartbeat', (details: unknown) => {
      const { success, data } = jobProgress.safeParse(details);
      if (success && data.done >= 3) done(data);
    });
  });
  const result = environment.run(createGpuActivities(deps).trainTransformerSegment, { artifact, toStep });
  result.catch(() => undefined);
  return { environment, reached, result };
}

describe('a job as an activity', () => {
  it('heartbeats its progress and returns its result, and who computed it is noted', async () => {
    const { reached, result } = startCounting(200);
    expect(await reached).toMatchObject({ total: 200, unit: 'steps' });
    expect(await result).toEqual({ step: 200, metrics: { startedAt: 0 } });
    const note = JSON.parse(readFileSync(join(folder, 'trainTransformer', artifact.key, 'work/computer.json'), 'utf8')) as object;
    expect(note).toEqual({ machine: 'here', backend: 'none', device: 'cpu', threads: 1 });
  });

  it('when cancelled saves where it is and ends as cancelled', async () => {
    const { environment, reached, result } = startCounting(100_000);
    const { done } = await reached;
    environment.cancel('CANCELLED');
    await expect(result).rejects.toMatchObject({ name: 'CancelledFailure' });
    expect(savedStep()).toBeGreaterThanOrEqual(done);
  });

  it('when its worker shuts down saves where it is and hands the job back to be retried', async () => {
    const { environment, reached, result } = startCounting(100_000);
    const { done } = await reached;
    environment.cancel('WORKER_SHUTDOWN');
    await expect(result).rejects.toMatchObject({ name: 'ApplicationFailure', type: 'WorkerShutdown', nonRetryable: false });
    expect(savedStep()).toBeGreaterThanOrEqual(done);
  });

  it('fails retryably and by name when the compute process dies', async () => {
    const { reached, result } = startCounting(100_000);
    await reached;
    await compute.close();
    await expect(result).rejects.toMatchObject({ name: 'ApplicationFailure', type: 'ComputeProcessDied', nonRetryable: false });
  });

  it('fails for good on what a person must mend, with the remedy', async () => {
    const result = new MockActivityEnvironment({}, quiet).run(createGpuActivities(deps).initialiseSae, { artifact });
    await expect(result).rejects.toMatchObject({ type: 'UserError', nonRetryable: true, message: 'no initialiseSae here Ask for something else.', details: [{ remedy: 'Ask for something else.' }] });
  });
});

describe('toFailure', () => {
  it('retries a full disk slowly instead of giving up', () => {
    expect(toFailure(new UserError('/data: no room to write 10 bytes; 3 bytes are free (ENOSPC)', 'Free space.'))).toMatchObject({ type: 'DiskFull', nonRetryable: false, nextRetryDelay: '30 seconds' });
  });

  it('keeps the name of any other error and lets it be retried', () => {
    expect(toFailure(new RangeError('5 is too many'))).toMatchObject({ type: 'RangeError', message: '5 is too many', nonRetryable: false });
    expect(toFailure('a bare string')).toMatchObject({ type: 'Error', message: 'a bare string', nonRetryable: false });
  });

  it('leaves failures of Temporal as they are', () => {
    const failure = ApplicationFailure.nonRetryable('as is', 'Mine');
    expect(toFailure(failure)).toBe(failure);
  });
});
