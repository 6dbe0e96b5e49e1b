// Garbage is what the manifests and a living run have no use for, and not one byte more: random stores, on a real folder,
// against a second, plainer statement of the rules.
import { mkdir, mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { artifactPath, specKey, writeSpec } from '../../data/artifact.ts';
import { openStore } from '../../data/artifactStore.ts';
import { saveCheckpoint } from '../../data/checkpoint.ts';
import { deleteGarbage, findGarbage } from '../../data/garbage.ts';
import type { ArtifactId } from '../../schemas/stages.ts';
import { artifactArbitrary, finish, hashOf, isGarbage, training } from './garbageFixtures.ts';

let scratch: string;
let folders = 0;
beforeAll(async () => void (scratch = await mkdtemp(join(tmpdir(), 'saeflow-garbage-'))));
afterAll(() => rm(scratch, { recursive: true, force: true }));

const hourMs = 3_600_000;
const oldDate = new Date(Date.now() - 2 * hourMs);
const search = { olderThanMs: hourMs, inUse: () => false };

describe('findGarbage and deleteGarbage', () => {
  it('remove exactly what nobody can need, from any store', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(artifactArbitrary, { minLength: 1, maxLength: 4 }), async (artifacts) => {
        const folder = join(scratch, String(folders++));
        const store = openStore(folder);
        const stays = new Map<string, string>();
        const goes = new Set<string>();
        const busy = new Set<string>();
        for (const [seed, { state, named, others, checkpoints, old }] of artifacts.entries()) {
          const spec = training(seed);
          const id: ArtifactId = { stage: spec.stage, key: specKey(spec) };
          if (state === 'inUse') busy.add(id.key);
          await writeSpec(store, id, spec);
          const finished = state === 'finished';
          const steps = checkpoints.flatMap(({ step, parts }) => parts.map((part) => `work/checkpoint-${String(step).padStart(9, '0')}.${part}`));
          const paths = [...new Set([...(finished ? named : []), ...others, ...steps])];
          for (const [index, path] of paths.entries()) {
            const isOld = old[index % old.length]!;
            const full = await place(folder, artifactPath(id, path), isOld);
            const namedHere = finished && named.includes(path);
            if (isOld && !namedHere && isGarbage(path, state, paths)) goes.add(full);
            else stays.set(full, hashOf(await readFile(join(folder, full))));
          }
          if (finished) await finish(store, id, spec, named);
        }
        const found = await findGarbage(store, { ...search, inUse: ({ key }) => busy.has(key) });
        expect(new Set(found.garbage.map(({ path }) => path))).toEqual(goes);
        expect(await deleteGarbage(store, found.garbage)).toHaveLength(goes.size);
        for (const [path, sha256] of stays) expect(hashOf(await readFile(join(folder, path))), path).toBe(sha256);
        for (const path of goes) await expect(readFile(join(folder, path))).rejects.toThrow('ENOENT');
        expect((await findGarbage(store, { ...search, inUse: ({ key }) => busy.has(key) })).garbage).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });

  it('keep what a damaged manifest may name, a folder with another artifact’s manifest, and what is nobody’s', async () => {
    const folder = join(scratch, String(folders++));
    const store = openStore(folder);
    const damaged: ArtifactId = { stage: 'trainSae', key: 'b'.repeat(64) };
    await store.put(artifactPath(damaged, 'manifest.json'), Buffer.from('{"format": 1'));
    await place(folder, artifactPath(damaged, 'work/computer.json'), true);
    const moved: ArtifactId = { stage: 'trainTransformer', key: 'c'.repeat(64) };
    const spec = training(1);
    const own: ArtifactId = { stage: spec.stage, key: specKey(spec) };
    await finish(store, own, spec, []);
    await store.put(artifactPath(moved, 'manifest.json'), await store.get(artifactPath(own, 'manifest.json')));
    await place(folder, artifactPath(moved, 'work/computer.json'), true);
    for (const path of ['runs/a-b/report.json', 'corpus/x.json', 'notes.txt', 'tokenize/readme.txt', 'trainSae/mine/file']) await place(folder, path, true);
    const { garbage, spared } = await findGarbage(store, search);
    expect(garbage).toEqual([]);
    expect(spared.map(({ artifact }) => artifact).sort()).toEqual([`trainSae/${damaged.key}`, `trainTransformer/${moved.key}`]);
    expect(spared.find(({ artifact }) => artifact.startsWith('trainSae'))!.why).toContain('malformed');
  });

  it('leave what was written anew, and what lost its manifest, between the search and the deletion', async () => {
    const folder = join(scratch, String(folders++));
    const store = openStore(folder);
    for (const [seed, path] of [[1, 'work/computer.json'], [2, 'stray.bin']] as const) {
      const spec = training(seed);
      const id: ArtifactId = { stage: spec.stage, key: specKey(spec) };
      await finish(store, id, spec, []);
      await place(folder, artifactPath(id, path), true);
    }
    const { garbage } = await findGarbage(store, search);
    expect(garbage).toHaveLength(2);
    await store.put(garbage.find(({ kind }) => kind === 'work')!.path, Buffer.from('anew'));
    const unnamed = garbage.find(({ kind }) => kind === 'unnamed')!;
    await store.delete(unnamed.path.replace('stray.bin', 'manifest.json'));
    expect(await deleteGarbage(store, garbage)).toEqual([]);
    expect(await store.exists(unnamed.path)).toBe(true);
  });

  it('agree with saveCheckpoint about which checkpoints are kept', async () => {
    const store = openStore(join(scratch, String(folders++)));
    const spec = training(3);
    const id: ArtifactId = { stage: spec.stage, key: specKey(spec) };
    await writeSpec(store, id, spec);
    for (let step = 5; step <= 45; step += 5) await saveCheckpoint(store, id, step, { w: { shape: [1], data: Float32Array.of(step) } }, {}, { pinned: [20, 40] });
    expect((await findGarbage(store, { ...search, olderThanMs: 0 })).garbage).toEqual([]);
  });
});

async function place(folder: string, path: string, isOld: boolean): Promise<string> {
  await mkdir(dirname(join(folder, path)), { recursive: true });
  await writeFile(join(folder, path), path);
  if (isOld) await utimes(join(folder, path), oldDate, oldDate);
  return path;
}
