// The compute process over real forks: reuse, death, stop and resume, and what becomes of it without its parent.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { JobProgress } from '../../schemas/jobs.ts';
import { isAlive } from '../../setup/lock.ts';
import { ComputePool } from '../../workers/computePool.ts';
import { ComputeProcess, type ComputeProcessOptions } from '../../workers/computeProcess.ts';
import { shardKinds } from './testShards.ts';

const entry = resolve(import.meta.dirname, 'testCompute.ts');
const artifact = { stage: 'trainTransformer', key: 'a'.repeat(64) } as const;
const folders: string[] = [];
const open: { close(): Promise<void> }[] = [];
const lines: string[] = [];

function storeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'saeflow-compute-'));
  folders.push(folder);
  return folder;
}

function newProcess(options: ComputeProcessOptions = {}): ComputeProcess {
  const compute = new ComputeProcess({ entry, onLine: (line) => lines.push(line), ...options });
  open.push(compute);
  return compute;
}

const shardJob = (shard: number) => ({ kind: 'tokenizeShard', artifact, storeUri: '/nowhere', shard }) as const;
const segmentJob = (storeUri: string, toStep: number) => ({ kind: 'trainTransformerSegment', artifact, storeUri, toStep }) as const;
const savedStep = (store: string) => Number(readFileSync(join(store, 'trainTransformer', artifact.key, 'work/step'), 'utf8'));

/** A promise of the first progress that satisfies `enough`, and the function that takes progress. */
function progressThat(enough: (progress: JobProgress) => boolean) {
  let take: (progress: JobProgress) => void = () => undefined;
  const seen = new Promise<JobProgress>((done) => {
    take = (progress) => enough(progress) && done(progress);
  });
  return { seen, onProgress: (progress: JobProgress) => take(progress) };
}

afterEach(async () => {
  for (const closable of open.splice(0)) await closable.close();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
  lines.length = 0;
});

describe('a compute process', () => {
  it('that hangs is ended, and the next attempt goes on from its checkpoint', async () => {
    const store = storeFolder();
    const compute = newProcess({ silenceLimitMs: 1_000 });
    const { seen, onProgress } = progressThat(({ checkpointStep }) => (checkpointStep ?? 0) >= 10);
    const hanging = compute.run(segmentJob(store, 400), { onProgress });
    const refused = expect(hanging).rejects.toThrow(/made no progress for 1 s, was taken to hang and was ended by SIGKILL while it worked on/);
    await seen;
    process.kill(compute.pid!, 'SIGSTOP');
    await refused;
    const { metrics } = await compute.run(segmentJob(store, 60));
    expect(metrics['startedAt']).toBeGreaterThanOrEqual(10);
  });

  it('is started by the first job and kept for the next ones', async () => {
    const compute = newProcess();
    expect(compute.pid).toBeUndefined();
    const first = await compute.run(shardJob(1));
    const second = await compute.run(shardJob(2));
    expect(second.metrics['pid']).toBe(first.metrics['pid']);
    expect(second.metrics['pid']).not.toBe(process.pid);
  });

  it('loads tensors only for jobs that need them, and then says where they are', async () => {
    const compute = newProcess();
    await compute.run(shardJob(1));
    expect(compute.backend()).toEqual({ backend: 'none', device: 'cpu', threads: 1 });
    const { device } = await compute.run({ kind: 'sampleShard', artifact, storeUri: '/nowhere', shard: 1 });
    expect(device).toBe('gpu');
    expect(compute.backend()).toEqual({ backend: 'pretend 1.0', device: 'gpu', threads: 3 });
  });

  it('does one job at a time', async () => {
    const compute = newProcess();
    const first = compute.run(shardJob(1));
    await expect(compute.run(shardJob(2))).rejects.toThrow('one job at a time');
    await first;
  });

  it('passes a UserError on with its remedy, and another error with its name and stack', async () => {
    const compute = newProcess();
    await expect(compute.run(shardJob(shardKinds.userError))).rejects.toMatchObject({ name: 'UserError', message: 'corpus.txt:7 is damaged', remedy: 'Mend line 7.' });
    await expect(compute.run(shardJob(shardKinds.bug))).rejects.toMatchObject({ name: 'TypeError', message: 'undefined is not a tensor', stack: expect.stringContaining('testCompute.ts') as string });
    expect((await compute.run(shardJob(1))).shard).toBe(1);
  });

  it('refuses a result that is not what the job promises', async () => {
    await expect(newProcess().run(shardJob(shardKinds.nonsense))).rejects.toMatchObject({ name: 'ZodError' });
  });

  it('names exit code and last lines when it ends in the middle of a job', async () => {
    await expect(newProcess().run(shardJob(shardKinds.exits))).rejects.toMatchObject({
      name: 'ComputeProcessDied',
      message: expect.stringMatching(/exit code 7 while it worked on tokenizeShard shard 103(.|\n)*about to give up/) as string,
    });
    expect(lines).toContain('about to give up');
  });

  it('names what is wrong when its module does not load', async () => {
    const compute = newProcess({ entry: resolve(import.meta.dirname, 'no-such-file.ts') });
    await expect(compute.run(shardJob(1))).rejects.toMatchObject({ name: 'ComputeProcessDied', message: expect.stringMatching(/while it started(.|\n)*no-such-file/) as string });
  });

  it('is replaced after a kill -9, and the next attempt goes on from the last checkpoint', async () => {
    const store = storeFolder();
    const compute = newProcess();
    const { seen, onProgress } = progressThat(({ checkpointStep }) => (checkpointStep ?? 0) >= 20);
    const running = compute.run(segmentJob(store, 100_000), { onProgress });
    const died = expect(running).rejects.toMatchObject({ name: 'ComputeProcessDied', message: expect.stringContaining('SIGKILL while it worked on trainTransformerSegment to step 100000') as string });
    await seen;
    const killed = compute.pid!;
    process.kill(killed, 'SIGKILL');
    await died;

    const { step, metrics } = await compute.run(segmentJob(store, savedStep(store) + 10));
    expect(compute.pid).not.toBe(killed);
    expect(metrics['startedAt']).toBeGreaterThanOrEqual(20);
    expect(step).toBe(metrics['startedAt']! + 10);
  });

  it('on abort saves where it is, throws StoppedError, and frees what it held by ending', async () => {
    const store = storeFolder();
    const compute = newProcess();
    const abort = new AbortController();
    const { seen, onProgress } = progressThat(({ done }) => done >= 3);
    const running = compute.run(segmentJob(store, 100_000), { signal: abort.signal, onProgress });
    const stopped = expect(running).rejects.toMatchObject({ name: 'StoppedError' });
    const { done } = await seen;
    const pid = compute.pid!;
    abort.abort();
    await stopped;
    expect(savedStep(store)).toBeGreaterThanOrEqual(done);
    expect(isAlive(pid)).toBe(false);
  });

  it('is killed when it reaches no step boundary within the grace time', async () => {
    const compute = newProcess({ stopGraceMs: 50 });
    const abort = new AbortController();
    const running = compute.run(shardJob(shardKinds.deaf), { signal: abort.signal });
    const died = expect(running).rejects.toMatchObject({ name: 'ComputeProcessDied' });
    await vi.waitUntil(() => compute.pid !== undefined);
    abort.abort();
    await died;
    expect(compute.pid).toBeUndefined();
  });

  it('on SIGTERM saves where it is and ends; the job counts as interrupted, not as cancelled', async () => {
    const store = storeFolder();
    const compute = newProcess();
    const { seen, onProgress } = progressThat(({ done }) => done >= 3);
    const running = compute.run(segmentJob(store, 100_000), { onProgress });
    const interrupted = expect(running).rejects.toMatchObject({ name: 'ComputeProcessDied', message: expect.stringContaining('SIGTERM') as string });
    const { done } = await seen;
    process.kill(compute.pid!, 'SIGTERM');
    await interrupted;
    expect(savedStep(store)).toBeGreaterThanOrEqual(done);
  });

  it('ends when its worker is killed', async () => {
    const store = storeFolder();
    const program = `
      import { ComputeProcess } from ${JSON.stringify(resolve(import.meta.dirname, '../../workers/computeProcess.ts'))};
      const compute = new ComputeProcess({ entry: ${JSON.stringify(entry)} });
      void compute.run(${JSON.stringify(segmentJob(store, 100_000))}, { onProgress: () => console.log(compute.pid) });
    `;
    const tsx = pathToFileURL(resolve(import.meta.dirname, '../../node_modules/tsx/dist/esm/index.mjs')).href;
    const worker = spawn(process.execPath, ['--import', tsx, '--input-type=module', '-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
    const pid = Number(String(await new Promise((done) => void worker.stdout.once('data', done))).split('\n')[0]);
    expect(isAlive(pid)).toBe(true);
    worker.kill('SIGKILL');
    await vi.waitUntil(() => !isAlive(pid), { timeout: 20_000 });
  });
});

describe('a pool of compute processes', () => {
  it('runs as many jobs at once as it has slots, and lets the others wait', async () => {
    const pool = new ComputePool({ slots: 2, entry, onLine: () => undefined });
    open.push(pool);
    const receipts = await Promise.all([1, 2, 3, 4, 5].map((shard) => pool.run(shardJob(shard))));
    expect(receipts.map(({ shard }) => shard)).toEqual([1, 2, 3, 4, 5]);
    expect(new Set(receipts.map(({ metrics }) => metrics['pid'])).size).toBe(2);
  });

  it('lets a job go that is aborted while it waits', async () => {
    const store = storeFolder();
    const pool = new ComputePool({ slots: 1, entry, onLine: () => undefined });
    open.push(pool);
    const abort = new AbortController();
    const first = pool.run(segmentJob(store, 60));
    const second = pool.run(shardJob(1), { signal: abort.signal });
    abort.abort();
    await expect(second).rejects.toMatchObject({ name: 'StoppedError' });
    expect((await first).step).toBe(60);
    expect((await pool.run(shardJob(2))).shard).toBe(2);
  });
});
