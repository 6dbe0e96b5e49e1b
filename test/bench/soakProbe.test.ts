// The probe against real processes that hold a known number of bytes, and a folder of known files.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { SoakProbe } from '../../bench/soakProbe.ts';

const folder = mkdtempSync(join(tmpdir(), 'saeflow-probe-'));
const state = join(folder, 'state');
const running: ChildProcess[] = [];
afterEach(async () => {
  for (const child of running.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A process that holds so many bytes, all of them written, after having held `before` for a moment. */
async function holding(script: string, bytes: number, { before = 0, stateFolder = state } = {}): Promise<ChildProcess> {
  const path = join(folder, 'scripts', script);
  mkdirSync(dirname(path), { recursive: true });
  // Memory of its own for each: what is let go goes back to the system when it is collected.
  writeFileSync(path, `let early = Buffer.alloc(Number(process.argv[2]), 1); early = undefined; gc(); globalThis.held = Buffer.alloc(Number(process.argv[3]), 1); console.log('ready'); setInterval(() => {}, 1000);`);
  const child = spawn(process.execPath, ['--expose-gc', path, String(before), String(bytes)], { env: { ...process.env, SAEFLOW_STATE_DIR: stateFolder }, stdio: ['ignore', 'pipe', 'inherit'] });
  running.push(child);
  await once(child.stdout!, 'data');
  return child;
}

// What Node takes by itself differs by some MB from one process to the next.
const expectNear = (found: number, expected: number) => expect(Math.abs(found - expected)).toBeLessThan(20e6);

describe.runIf(process.platform === 'linux')('a soak’s probe', () => {
  it('adds up what the processes of a role hold, keeps the peak of the largest, and leaves out those of other runs', async () => {
    const probe = new SoakProbe(folder, state);
    expect((await probe.sample()).residentBytes).toEqual({});
    await holding('workers/main.ts.cjs', 0);
    const { worker: bare } = (await probe.sample()).residentBytes;
    expect(bare).toBeGreaterThan(10e6);
    await holding('compute.ts.cjs', 150e6);
    await holding('compute.ts.cjs', 50e6, { before: 300e6 });
    await holding('compute.ts.cjs', 400e6, { stateFolder: `${state}-of-another` });
    await holding('unknown.cjs', 400e6);
    const { residentBytes } = await probe.sample();
    expect(Object.keys(residentBytes).sort()).toEqual(['compute process', 'worker']);
    expectNear(residentBytes['compute process']!, 200e6 + 2 * bare!);
    expectNear(residentBytes['worker']!, bare!);
    // of one process, and of a moment that no sample saw
    expectNear(probe.peaks.get('compute process')!, 300e6 + bare!);
    expect(probe.describe({ seconds: 0, residentBytes: { worker: 12.6e6, command: 3e6 }, diskBytes: 0, activationBytes: 0 })).toBe('worker 13 MB, command 3 MB');
  });

  it('kills one process of a role, and says when there is none', async () => {
    const probe = new SoakProbe(folder, state);
    const [worker, compute] = [await holding('workers/main.ts.cjs', 0), await holding('compute.ts.cjs', 0)];
    expect(probe.kill('compute process')).toBe(true);
    expect(await once(compute, 'exit')).toEqual([null, 'SIGKILL']);
    expect(probe.kill('compute process')).toBe(false);
    expect([worker.exitCode, worker.signalCode]).toEqual([null, null]);
  });

  it('counts the bytes of all files, and those of activations apart, over time', async () => {
    const disk = join(folder, 'disk');
    const probe = new SoakProbe(disk, state);
    expect(await probe.sample()).toMatchObject({ diskBytes: 0, activationBytes: 0 });
    for (const [path, bytes] of [['store/sampleActivations/a/shards/0.parquet', 5_000], ['store/tokenize/b/shards/0.bin', 700], ['state/temporal.db', 30]] as const) {
      mkdirSync(dirname(join(disk, path)), { recursive: true });
      writeFileSync(join(disk, path), Buffer.alloc(bytes));
    }
    const later = await probe.sample();
    expect(later).toMatchObject({ diskBytes: 5_730, activationBytes: 5_000 });
    expect(probe.samples).toHaveLength(2);
    expect(later.seconds).toBeGreaterThan(probe.samples[0]!.seconds);
  });
});
