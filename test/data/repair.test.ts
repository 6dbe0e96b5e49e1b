// A repair loses nothing and claims nothing: interrupted anywhere it goes on, and bytes that came out otherwise never
// stand below what was made from the old ones. The stage that makes the pieces again is played here by hand; test/e2e
// repairs by the real workflows.
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { artifactPath, readManifest, readReceipt, readSpec, specKey, verifyArtifact, writeManifest, writeReceipt, writeSpec } from '../../data/artifact.ts';
import { openStore, type ArtifactStore } from '../../data/artifactStore.ts';
import { descendantsOf } from '../../data/descendants.ts';
import { isBeingRepaired, removeDamaged, settleRepair } from '../../data/repair.ts';
import { resolveInput } from '../../presets/resolve.ts';
import type { FileEntry } from '../../schemas/artifact.ts';
import { stageVersions, type ArtifactId, type StageSpec } from '../../schemas/stages.ts';
import { activationsSpec, dashboardSpec, saeSpec, tokenizeSpec, transformerSpec } from '../../workflows/specs.ts';

let scratch: string;
let folders = 0;
beforeAll(async () => void (scratch = await mkdtemp(join(tmpdir(), 'saeflow-repair-'))));
afterAll(() => rm(scratch, { recursive: true, force: true }));

const config = resolveInput('tiny');
const idOf = (spec: StageSpec): ArtifactId => ({ stage: spec.stage, key: specKey(spec) });
const tokens = tokenizeSpec(config, 'c'.repeat(64));
const model = transformerSpec(config, { tokenize: specKey(tokens) });
const activations = activationsSpec(config, config.saes[0]!.hook, { tokenize: specKey(tokens), trainTransformer: specKey(model) });
const sae = saeSpec(config, config.saes[0]!, { sampleActivations: specKey(activations) });
const dashboard = dashboardSpec(config, { tokenize: specKey(tokens), trainTransformer: specKey(model), sampleActivations: specKey(activations), trainSae: specKey(sae) });
const shards = 4;
const skipped = 2;

/** What a stage of shards does: makes those without a receipt, and the manifest unless there is one. */
async function make(store: ArtifactStore, spec: StageSpec, { version = 'first', leftOut = [] as number[] } = {}): Promise<void> {
  const id = idOf(spec);
  if ((await readManifest(store, id)) !== null) return;
  await writeSpec(store, id, spec);
  const files: FileEntry[] = [];
  const single = ['trainTransformer', 'trainSae', 'exportDashboard'].includes(spec.stage);
  for (let shard = 0; shard < (single ? 1 : shards); shard++) {
    if (leftOut.includes(shard)) continue;
    if ((await readReceipt(store, id, shard)) === null) {
      const made: FileEntry[] = [];
      for (const path of single ? ['model.bin', 'metrics.jsonl'] : [`shards/${shard}.bin`, `shards/${shard}.index`]) made.push({ path, ...(await store.put(artifactPath(id, path), Buffer.from(`${path} ${version}`))) });
      await writeReceipt(store, id, { shard, files: made, metrics: {}, seconds: 1, device: 'cpu' });
    }
    files.push(...(await readReceipt(store, id, shard))!.files);
  }
  const provenance = { codeVersion: 'test', machine: 'test', device: 'cpu', backend: 'none', threads: 1, node: process.version, createdAt: new Date(0).toISOString(), seconds: 0, gpuSeconds: 0 };
  await writeManifest(store, { ...id, stageVersion: stageVersions[id.stage], config: spec.config, inputs: spec.inputs, files, shards: { total: shards, skipped: leftOut }, metrics: {}, provenance });
}

async function freshRun(): Promise<ArtifactStore> {
  const store = openStore(join(scratch, String(folders++)));
  for (const spec of [tokens, model, activations, sae, dashboard]) await make(store, spec, { leftOut: spec === activations ? [skipped] : [] });
  return store;
}

async function flip(store: ArtifactStore, spec: StageSpec, path: string): Promise<void> {
  const bytes = Buffer.from(await store.get(artifactPath(idOf(spec), path)));
  bytes[0]! ^= 1;
  await store.put(artifactPath(idOf(spec), path), bytes);
}

const damageOf = (store: ArtifactStore, spec: StageSpec) => verifyArtifact(store, idOf(spec), { ancestors: false });
const leftovers = async (store: ArtifactStore) => (await store.list('')).filter(({ path }) => path.includes('before-repair'));

/** A store whose process is killed before its write or deletion number `after`. */
function killedAfter(store: ArtifactStore, after: number): ArtifactStore {
  let left = after;
  const mutating = new Set(['put', 'putPieces', 'putIfAbsent', 'delete', 'deletePrefix']);
  return new Proxy(store, {
    get(target, name: keyof ArtifactStore) {
      const value = target[name];
      if (typeof value !== 'function') return value;
      return (...args: unknown[]) => {
        if (mutating.has(name) && left-- <= 0) throw new Error('killed');
        return (value as (...args: unknown[]) => unknown).apply(target, args);
      };
    },
  });
}

describe('descendantsOf', () => {
  it('names all that was made from an artifact, however many steps later, and nothing else', async () => {
    const store = await freshRun();
    expect(await descendantsOf(store, [idOf(tokens)])).toEqual([model, activations, sae, dashboard].map(idOf));
    expect(await descendantsOf(store, [idOf(activations)])).toEqual([sae, dashboard].map(idOf));
    expect(await descendantsOf(store, [idOf(dashboard)])).toEqual([]);
    const other = transformerSpec({ ...config, seed: 99 }, { tokenize: specKey(tokens) });
    await make(store, other);
    expect(await descendantsOf(store, [idOf(model)])).not.toContainEqual(idOf(other));
    expect(await descendantsOf(store, [idOf(tokens)])).toContainEqual(idOf(other));
  });
});

describe('a repair', () => {
  it('takes the damaged shard out and no other, and keeps out what was skipped', async () => {
    const store = await freshRun();
    const before = (await readManifest(store, idOf(activations)))!;
    await flip(store, activations, 'shards/1.bin');
    const sound = (await store.list(artifactPath(idOf(activations), 'shards/'))).filter(({ path }) => !path.endsWith('/1.bin') && !path.endsWith('/1.index'));
    expect(await removeDamaged(store, idOf(activations), await damageOf(store, activations))).toEqual({ spec: activations, shards: [1], leftOut: [skipped] });
    expect(await isBeingRepaired(store, idOf(activations))).toBe(true);
    await make(store, activations, { leftOut: [skipped] });
    expect(await settleRepair(store, idOf(activations))).toEqual({ changed: [], descendants: [sae, dashboard].map(idOf), putBack: false });
    expect(await damageOf(store, activations)).toEqual([]);
    expect((await readManifest(store, idOf(activations)))!.contentSha256).toBe(before.contentSha256);
    expect((await store.list(artifactPath(idOf(activations), 'shards/'))).filter(({ path }) => sound.some((one) => one.path === path))).toEqual(sound);
    expect(await leftovers(store)).toEqual([]);
  });

  it.each([activations, model])('interrupted before any of its writes goes on to the same bytes ($stage)', async (spec) => {
    const leftOut = spec === activations ? [skipped] : [];
    const repair = async (on: ArtifactStore) => {
      const problems = await damageOf(on, spec);
      if (problems.length > 0) {
        await removeDamaged(on, idOf(spec), problems);
        await make(on, spec, { leftOut });
      }
      if (await isBeingRepaired(on, idOf(spec))) return settleRepair(on, idOf(spec));
      return undefined;
    };
    let killed = 0;
    for (let after = 0; ; after++) {
      const store = await freshRun();
      const before = (await readManifest(store, idOf(spec)))!.contentSha256;
      await flip(store, spec, spec === activations ? 'shards/3.index' : 'metrics.jsonl');
      const first = await repair(killedAfter(store, after)).then(() => 'done', (error: Error) => error.message);
      const settled = await repair(store);
      if (settled !== undefined) expect(settled).toMatchObject({ changed: [], putBack: false });
      expect(await damageOf(store, spec)).toEqual([]);
      expect((await readManifest(store, idOf(spec)))!.contentSha256).toBe(before);
      // copies go before the old manifest, which says that there are some
      expect(await leftovers(store)).toEqual([]);
      if (first === 'done') break;
      expect(first).toBe('killed');
      killed++;
    }
    expect(killed).toBeGreaterThan(6);
  });

  it('that gives other bytes leaves the old manifest and what was sound of a training, and says what was made from them', async () => {
    const store = await freshRun();
    const manifest = await store.get(artifactPath(idOf(model), 'manifest.json'));
    const weights = await store.get(artifactPath(idOf(model), 'model.bin'));
    await flip(store, model, 'metrics.jsonl');
    await removeDamaged(store, idOf(model), await damageOf(store, model));
    await make(store, model, { version: 'second' });
    expect(await settleRepair(store, idOf(model))).toEqual({ changed: ['metrics.jsonl', 'model.bin'], descendants: [activations, sae, dashboard].map(idOf), putBack: true });
    expect(await store.get(artifactPath(idOf(model), 'manifest.json'))).toEqual(manifest);
    expect(await store.get(artifactPath(idOf(model), 'model.bin'))).toEqual(weights);
    expect((await damageOf(store, model)).map(({ path }) => path)).toEqual([artifactPath(idOf(model), 'metrics.jsonl')]);
    expect(await leftovers(store)).toEqual([]);
  });

  it('that gives other bytes from which nothing was made lets them stand', async () => {
    const store = await freshRun();
    await flip(store, dashboard, 'model.bin');
    await removeDamaged(store, idOf(dashboard), await damageOf(store, dashboard));
    await make(store, dashboard, { version: 'second' });
    expect(await settleRepair(store, idOf(dashboard))).toEqual({ changed: ['metrics.jsonl', 'model.bin'], descendants: [], putBack: false });
    expect(await damageOf(store, dashboard)).toEqual([]);
  });

  it('of a lost manifest makes what its receipts do not vouch for', async () => {
    const store = await freshRun();
    await store.delete(artifactPath(idOf(tokens), 'manifest.json'));
    await store.delete(artifactPath(idOf(tokens), 'shards/0.bin'));
    await store.put(artifactPath(idOf(tokens), 'receipts/00003.json'), Buffer.from('{'));
    expect(await removeDamaged(store, idOf(tokens), await damageOf(store, tokens))).toMatchObject({ shards: [0, 3] });
    await make(store, tokens);
    expect(await settleRepair(store, idOf(tokens))).toMatchObject({ changed: undefined, putBack: false });
    expect(await damageOf(store, tokens)).toEqual([]);
  });

  it('writes a lost spec.json from the manifest; of nothing it makes nothing', async () => {
    const store = await freshRun();
    await store.delete(artifactPath(idOf(tokens), 'spec.json'));
    await flip(store, tokens, 'shards/0.bin');
    expect(await removeDamaged(store, idOf(tokens), await damageOf(store, tokens))).toMatchObject({ shards: [0] });
    expect(await readSpec(store, idOf(tokens))).toEqual(tokens);
    await store.deletePrefix(artifactPath(idOf(sae), ''));
    await expect(removeDamaged(store, idOf(sae), await damageOf(store, sae))).rejects.toThrow('neither spec.json nor a manifest is left');
  });

  it('touches nothing of another stage version, which would give other bytes', async () => {
    const store = await freshRun();
    const path = artifactPath(idOf(model), 'manifest.json');
    const manifest = JSON.parse(Buffer.from(await store.get(path)).toString()) as { stageVersion: number };
    await store.put(path, Buffer.from(JSON.stringify({ ...manifest, stageVersion: manifest.stageVersion - 1 })));
    await flip(store, model, 'metrics.jsonl');
    const before = await hashes(store);
    await expect(removeDamaged(store, idOf(model), await damageOf(store, model))).rejects.toThrow(/was made by version \d+ of its stage/);
    expect(await hashes(store)).toEqual(before);
  });
});

async function hashes(store: ArtifactStore): Promise<[string, string][]> {
  return Promise.all((await store.list('')).map(async ({ path }): Promise<[string, string]> => [path, createHash('sha256').update(await store.get(path)).digest('hex')]));
}
