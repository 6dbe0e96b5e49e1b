import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { artifactPath } from '../../data/artifact.ts';
import { openStore, type ArtifactStore } from '../../data/artifactStore.ts';
import { deleteCheckpointsAfter, latestCheckpoint, saveCheckpoint } from '../../data/checkpoint.ts';
import { UserError } from '../../schemas/errors.ts';
import type { ArtifactId } from '../../schemas/stages.ts';

const id: ArtifactId = { stage: 'trainSae', key: 'a'.repeat(64) };
const stateSchema = z.strictObject({ cursor: z.int(), losses: z.array(z.number()) });

let folder: string;
let store: ArtifactStore;
let warnings: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'saeflow-checkpoint-'));
  store = openStore(folder);
  warnings = '';
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    warnings += String(text);
    return true;
  });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(folder, { recursive: true, force: true });
});

const save = (step: number, value = step): Promise<void> =>
  saveCheckpoint(store, id, step, { weights: { shape: [2], data: Float32Array.of(value, -value) }, lastFired: { shape: [1], data: Int32Array.of(step) } }, { cursor: step * 10, losses: [0.1 + 0.2, 1e-310] });
const fileOf = (step: number, extension: string): string => join(folder, artifactPath(id, `work/checkpoint-${String(step).padStart(9, '0')}.${extension}`));

describe('a checkpoint', () => {
  it('comes back exactly: tensors, state and step', async () => {
    expect(await latestCheckpoint(store, id, stateSchema)).toBeNull();
    await save(7);
    expect(await latestCheckpoint(store, id, stateSchema)).toMatchObject({
      step: 7,
      tensors: { weights: { dtype: 'F32', shape: [2], data: Float32Array.of(7, -7) }, lastFired: { dtype: 'I32', data: Int32Array.of(7) } },
      state: { cursor: 70, losses: [0.1 + 0.2, 1e-310] },
    });
    expect(warnings).toBe('');
  });

  it('is the newest, or the newest at or below atMost', async () => {
    for (const step of [0, 1_000, 999]) await save(step);
    expect((await latestCheckpoint(store, id, stateSchema))?.step).toBe(1_000);
    expect((await latestCheckpoint(store, id, stateSchema, { atMost: 999 }))?.step).toBe(999);
    expect((await latestCheckpoint(store, id, stateSchema, { atMost: 998 }))?.step).toBe(0);
    expect(await latestCheckpoint(store, id, stateSchema, { atMost: -1 })).toBeNull();
  });

  it('is deleted once two newer ones are complete', async () => {
    for (const step of [10, 20, 30, 40]) await save(step);
    const paths = (await store.list('')).map(({ path }) => path.slice(path.lastIndexOf('/') + 1));
    expect(paths).toEqual(['checkpoint-000000030.json', 'checkpoint-000000030.safetensors', 'checkpoint-000000040.json', 'checkpoint-000000040.safetensors']);
  });

  it('that is pinned stays, however many are newer', async () => {
    const pinned = { pinned: [10, 20] };
    for (const step of [5, 10, 20, 30, 40]) await saveCheckpoint(store, id, step, { weights: { shape: [1], data: Float32Array.of(step) } }, {}, pinned);
    const steps = async () => (await store.list('')).map(({ path }) => path).filter((path) => path.endsWith('.json')).map((path) => Number(/(\d+)\.json$/.exec(path)![1]));
    expect(await steps()).toEqual([10, 20, 30, 40]);
    await save(50);
    expect(await steps()).toEqual([40, 50]);
  });

  it('of a later step goes when training turns back', async () => {
    for (const step of [10, 20]) await save(step);
    await deleteCheckpointsAfter(store, id, 10);
    expect((await store.list('')).map(({ path }) => path.slice(path.lastIndexOf('/') + 1))).toEqual(['checkpoint-000000010.json', 'checkpoint-000000010.safetensors']);
  });

  it('saved again at its step replaces the first', async () => {
    await save(10, 1);
    await save(10, 2);
    expect((await latestCheckpoint(store, id, stateSchema))?.tensors['weights']?.data).toEqual(Float32Array.of(2, -2));
  });

  it('that was never finished, its writer killed between tensors and receipt, leaves the previous one usable', async () => {
    await save(10);
    const module = (name: string): string => JSON.stringify(pathToFileURL(join(import.meta.dirname, '../../data', name)).href);
    const program = `
      import { openStore } from ${module('artifactStore.ts')};
      import { saveCheckpoint } from ${module('checkpoint.ts')};
      const store = openStore(${JSON.stringify(folder)});
      const put = store.put.bind(store);
      store.put = async (path, bytes) => {
        if (!path.endsWith('.json')) return put(path, bytes);
        process.stdout.write('tensors are written');
        await new Promise(() => setInterval(() => {}, 1000));
      };
      await saveCheckpoint(store, ${JSON.stringify(id)}, 20, { weights: { shape: [1], data: new Float32Array(1) } }, {});`;
    const child = execFile(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program]);
    const died = new Promise((done) => child.on('exit', done));
    await new Promise((done) => child.stdout!.once('data', done));
    child.kill('SIGKILL');
    await died;
    expect(await readFile(fileOf(20, 'safetensors'))).not.toHaveLength(0);
    expect(await latestCheckpoint(store, id, stateSchema)).toMatchObject({ step: 10, state: { cursor: 100 } });
    await save(20);
    expect((await latestCheckpoint(store, id, stateSchema))?.step).toBe(20);
  });

  it.each<[string, () => Promise<void>]>([
    ['has a flipped bit', async () => {
      const bytes = await readFile(fileOf(20, 'safetensors'));
      bytes[bytes.length - 1]! ^= 1;
      await writeFile(fileOf(20, 'safetensors'), bytes);
    }],
    ['is truncated', () => truncate(fileOf(20, 'safetensors'), 50)],
    ['has lost its tensors', () => rm(fileOf(20, 'safetensors'))],
    ['has half a receipt', () => truncate(fileOf(20, 'json'), 30)],
    ['has the receipt of another step', async () => writeFile(fileOf(20, 'json'), await readFile(fileOf(10, 'json')))],
  ])('that %s is named on stderr and left for the previous one', async (_, damage) => {
    await save(10);
    await save(20);
    await damage();
    expect(await latestCheckpoint(store, id, stateSchema)).toMatchObject({ step: 10, tensors: { weights: { data: Float32Array.of(10, -10) } } });
    expect(warnings).toContain('checkpoint-000000020.safetensors is left out');
  });

  it('whose state another version wrote is refused, not silently left out', async () => {
    await save(10);
    await expect(latestCheckpoint(store, id, z.strictObject({ other: z.int() }))).rejects.toThrow(UserError);
    await expect(latestCheckpoint(store, id, z.strictObject({ other: z.int() }))).rejects.toThrow(/checkpoint-000000010\.json.*other/);
  });
});
