import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  artifactPath,
  listReceipts,
  readManifest,
  readReceipt,
  readSpec,
  readVerified,
  refOf,
  specKey,
  verifyArtifact,
  writeManifest,
  writeReceipt,
  writeSpec,
  type ManifestDraft,
} from '../../data/artifact.ts';
import { NotFoundError, openStore, type ArtifactStore } from '../../data/artifactStore.ts';
import type { FileEntry, Receipt } from '../../schemas/artifact.ts';
import { UserError } from '../../schemas/errors.ts';
import { stageSpec, type ArtifactId, type SpecOf, type StageName, type StageSpec } from '../../schemas/stages.ts';

const keyOf = (letter: string): string => letter.repeat(64);

const specs: Record<StageName, StageSpec> = {
  tokenize: stageSpec.parse({ stage: 'tokenize', config: { corpus: {}, tokenize: {} }, inputs: { corpus: keyOf('a') } }),
  trainTransformer: stageSpec.parse({ stage: 'trainTransformer', config: { seed: 1, architecture: {}, training: {} }, inputs: { tokenize: keyOf('b') } }),
  sampleActivations: stageSpec.parse({
    stage: 'sampleActivations',
    config: { seed: 1, hook: 'blocks.0.mlp.hook_post', activations: {} },
    inputs: { tokenize: keyOf('b'), trainTransformer: keyOf('c') },
  }),
  trainSae: stageSpec.parse({ stage: 'trainSae', config: { seed: 1, sae: {} }, inputs: { sampleActivations: keyOf('d') } }),
  exportDashboard: stageSpec.parse({
    stage: 'exportDashboard',
    config: { dashboard: {} },
    inputs: { tokenize: keyOf('b'), trainTransformer: keyOf('c'), sampleActivations: keyOf('d'), trainSae: keyOf('e') },
  }),
};

let folder: string;
let store: ArtifactStore;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'saeflow-artifact-'));
  store = openStore(folder);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('specKey', () => {
  // A changed line means that every such artifact in every store is made again. If a stage's output changed, raise its
  // stageVersion and put the new key here; if it did not, the change of key is a mistake.
  it.each<[StageName, string]>([
    ['tokenize', '53d3c0d652276bc1427a257f5f172f49e92b7d8146fbee5df22918a649fd014b'],
    ['trainTransformer', '0ad8efbff804e4df8993efc14e2c3388faa68b44f15061e76c0a782c7cc7c21a'],
    ['sampleActivations', 'fd765b91a0de69023438e9d8df46982ef3a38cd045be1bfa7b7789e1746a131f'],
    ['trainSae', '8e4507c4fb48343a3727d0e1f16d692ba95094abd9ab0a1b7d421340a42dabac'],
    ['exportDashboard', '3f979bbea06e035354cbb8ad7a740d81a422e1ba0d4b0fb6b67f7fc417fc45b0'],
  ])('of %s is the one that stores hold', (stage, key) => {
    expect(specKey(specs[stage])).toBe(key);
  });

  it('ignores what does not affect the result, and nothing else', () => {
    const spec = specs.trainSae as SpecOf<'trainSae'>;
    const changed = (sae: Partial<SpecOf<'trainSae'>['config']['sae']>): string => specKey({ ...spec, config: { ...spec.config, sae: { ...spec.config.sae, ...sae } } });
    expect(changed({ name: 'other', checkpointEverySteps: 7 })).toBe(specKey(spec));
    expect(changed({ features: 4_097 })).not.toBe(specKey(spec));
    expect(changed({ resampling: { ...spec.config.sae.resampling, candidates: 5 } })).not.toBe(specKey(spec));
    expect(specKey({ ...spec, config: { ...spec.config, seed: 2 } })).not.toBe(specKey(spec));
    expect(specKey({ ...spec, inputs: { sampleActivations: keyOf('0') } })).not.toBe(specKey(spec));
  });

  it('does not depend on the order in which fields were written', () => {
    const shuffled = JSON.parse(JSON.stringify(specs.trainSae, (_, value: unknown) => (isRecord(value) ? Object.fromEntries(Object.entries(value).reverse()) : value))) as StageSpec;
    expect(JSON.stringify(shuffled)).not.toBe(JSON.stringify(specs.trainSae));
    expect(specKey(shuffled)).toBe(specKey(specs.trainSae));
  });

  it('refuses a spec with a field it does not know', () => {
    expect(() => specKey({ ...specs.trainSae, extra: 1 } as unknown as StageSpec)).toThrow(UserError);
  });
});

describe('spec.json', () => {
  it.each(Object.values(specs))('of $stage comes back as it was written', async (spec) => {
    const id = { stage: spec.stage, key: specKey(spec) };
    await expect(readSpec(store, id)).rejects.toThrow(NotFoundError);
    await writeSpec(store, id, spec);
    expect(await readSpec(store, id)).toEqual(spec);
  });

  it('takes the newest request for fields outside the key, and no spec of another artifact', async () => {
    const spec = specs.tokenize as SpecOf<'tokenize'>;
    const id = { stage: spec.stage, key: specKey(spec) };
    await writeSpec(store, id, spec);
    const moved: StageSpec = { ...spec, config: { ...spec.config, corpus: { ...spec.config.corpus, paths: ['/new/place/*.jsonl'] } } };
    await writeSpec(store, id, moved);
    expect(await readSpec(store, id)).toEqual(moved);
    await expect(writeSpec(store, { ...id, key: keyOf('f') }, spec)).rejects.toThrow(id.key);
  });

  it.each(['{"stage":', '{"stage":"tokenize"}', '[]', '{"stage":"unknown"}'])('that is malformed (%s) is a UserError that names it', async (text) => {
    const id: ArtifactId = { stage: 'tokenize', key: keyOf('a') };
    await store.put(artifactPath(id, 'spec.json'), Buffer.from(text));
    await expect(readSpec(store, id)).rejects.toThrow(`tokenize/${keyOf('a')}/spec.json is malformed`);
    await expect(readSpec(store, id)).rejects.toThrow(UserError);
  });
});

describe('receipts', () => {
  const id: ArtifactId = { stage: 'sampleActivations', key: keyOf('1') };
  const receipt = (shard: number, seconds = 1): Receipt => ({ shard, files: [{ path: `shards/${shard}`, sha256: keyOf('2'), bytes: 5, rows: 2 }], metrics: { rows: 2 }, seconds, device: 'cpu' });

  it('are written once, read back, and listed by shard number above 99,999 too', async () => {
    expect(await readReceipt(store, id, 0)).toBeNull();
    for (const shard of [123_456, 2, 10, 0]) await writeReceipt(store, id, receipt(shard));
    await writeReceipt(store, id, receipt(2, 99));
    expect(await readReceipt(store, id, 2)).toEqual(receipt(2));
    expect((await listReceipts(store, id)).map(({ shard }) => shard)).toEqual([0, 2, 10, 123_456]);
    expect(await store.exists(artifactPath(id, 'receipts/00002.json'))).toBe(true);
  });

  it('that are malformed are a UserError that names the file', async () => {
    await store.put(artifactPath(id, 'receipts/00003.json'), Buffer.from('{"shard": -1}'));
    await expect(readReceipt(store, id, 3)).rejects.toThrow(/receipts\/00003\.json is malformed: .*shard/);
    await expect(listReceipts(store, id)).rejects.toThrow(UserError);
  });
});

describe('manifest.json', () => {
  it('is written once: the first of two racing writers wins, and both learn which', async () => {
    const files = [await putFile('tokenize', keyOf('1'), 'b', 'bytes of b'), await putFile('tokenize', keyOf('1'), 'a', 'bytes of a')];
    const [first, second] = await Promise.all([writeManifest(store, draft('tokenize', keyOf('1'), {}, files, 'machine 1')), writeManifest(store, draft('tokenize', keyOf('1'), {}, files, 'machine 2'))]);
    expect(first).toEqual(second);
    expect(await readManifest(store, first)).toEqual(first);
    expect(first.files.map(({ path }) => path)).toEqual(['a', 'b']);
    expect(first.bytes).toBe(20);
    const list = JSON.stringify(first.files.map(({ path, sha256 }) => [path, sha256]));
    expect(first.contentSha256).toBe(createHash('sha256').update(list).digest('hex'));
  });

  it('has a content hash of files only: order, time and machine do not count', () => {
    const entries = fc.uniqueArray(fc.record({ path: fc.string({ minLength: 1 }), sha256: fc.constantFrom(keyOf('1'), keyOf('2')), bytes: fc.nat() }), { selector: ({ path }) => path, maxLength: 6 });
    return fc.assert(
      fc.asyncProperty(entries, fc.nat(), async (files, turn) => {
        const turned = [...files.slice(turn % (files.length + 1)), ...files.slice(0, turn % (files.length + 1))];
        const a = await writeManifest(openStore(await mkdtemp(join(folder, 'a-'))), draft('tokenize', keyOf('1'), {}, files, 'here'));
        const b = await writeManifest(openStore(await mkdtemp(join(folder, 'b-'))), draft('tokenize', keyOf('1'), {}, turned, 'there'));
        expect(a.contentSha256).toBe(b.contentSha256);
      }),
      { numRuns: 25 },
    );
  });

  it('is null before the artifact exists, and becomes a reference after', async () => {
    expect(await readManifest(store, { stage: 'tokenize', key: keyOf('1') })).toBeNull();
    const manifest = await writeManifest(store, draft('tokenize', keyOf('1'), {}, [await putFile('tokenize', keyOf('1'), 'a', 'x')]));
    expect(refOf(manifest, store.uri)).toEqual({
      stage: 'tokenize',
      key: keyOf('1'),
      uri: `${folder}/tokenize/${keyOf('1')}`,
      contentSha256: manifest.contentSha256,
      bytes: 1,
      files: 1,
      seconds: 1,
      gpuSeconds: 0,
      device: 'cpu',
      metrics: { tokens: 3 },
    });
  });
});

describe('readVerified', () => {
  it('gives the bytes, or says which file is corrupted, both hashes and what to do', async () => {
    const id: ArtifactId = { stage: 'tokenize', key: keyOf('1') };
    const entry = await putFile(id.stage, id.key, 'shards/00000.bin', 'content');
    expect(Buffer.from(await readVerified(store, id, entry)).toString()).toBe('content');
    await store.put(artifactPath(id, entry.path), Buffer.from('cOntent'));
    const error = await readVerified(store, id, entry).catch((reason: unknown) => reason as UserError);
    expect(error).toBeInstanceOf(UserError);
    expect((error as UserError).message).toContain(`${entry.path} is corrupted: SHA-256 ${entry.sha256}`);
    expect((error as UserError).message).toContain(createHash('sha256').update('cOntent').digest('hex'));
    expect((error as UserError).remedy).toContain('saeflow repair');
  });
});

describe('verifyArtifact', () => {
  const tokens: ArtifactId = { stage: 'tokenize', key: keyOf('b') };
  const model: ArtifactId = { stage: 'trainTransformer', key: keyOf('c') };

  beforeEach(async () => {
    await writeManifest(store, draft('tokenize', tokens.key, { corpus: keyOf('a') }, [await putFile('tokenize', tokens.key, 't.bin', 'tokens'), await putFile('tokenize', tokens.key, 'u.bin', 'more')]));
    await writeManifest(store, draft('trainTransformer', model.key, { tokenize: tokens.key }, [await putFile('trainTransformer', model.key, 'm', 'model')]));
  });

  it('finds nothing wrong with what was written', async () => {
    expect(await verifyArtifact(store, model, { ancestors: true })).toEqual([]);
  });

  it('names a changed and a missing file of an ancestor, only when asked for ancestors', async () => {
    const path = join(folder, artifactPath(tokens, 't.bin'));
    const expected = createHash('sha256').update('tokens').digest('hex');
    const bytes = await readFile(path);
    bytes[2]! ^= 1;
    await writeFile(path, bytes);
    await store.delete(artifactPath(tokens, 'u.bin'));
    expect(await verifyArtifact(store, model, { ancestors: false })).toEqual([]);
    expect(await verifyArtifact(store, model, { ancestors: true })).toEqual([
      { artifact: tokens, path: artifactPath(tokens, 't.bin'), expected, found: createHash('sha256').update(bytes).digest('hex') },
      { artifact: tokens, path: artifactPath(tokens, 'u.bin'), expected: createHash('sha256').update('more').digest('hex'), found: 'nothing' },
    ]);
  });

  it('names a manifest that is missing, malformed, or whose list of files was edited', async () => {
    const path = artifactPath(tokens, 'manifest.json');
    const manifest = Buffer.from(await store.get(path)).toString();
    await store.put(path, Buffer.from(manifest.replaceAll('u.bin', 't.bin')));
    expect((await verifyArtifact(store, tokens, { ancestors: false })).map((problem) => problem.path)).toContain(path);
    await store.put(path, Buffer.from(manifest.slice(0, 100)));
    expect(await verifyArtifact(store, model, { ancestors: true })).toMatchObject([{ artifact: tokens, path, expected: 'a manifest' }]);
    await store.delete(path);
    expect(await verifyArtifact(store, model, { ancestors: true })).toEqual([{ artifact: tokens, path, expected: 'a manifest', found: 'nothing' }]);
  });
});

async function putFile(stage: StageName, key: string, path: string, content: string): Promise<FileEntry> {
  return { path, ...(await store.put(artifactPath({ stage, key }, path), Buffer.from(content))) };
}

function draft(stage: StageName, key: string, inputs: Record<string, string>, files: FileEntry[], machine = 'here'): ManifestDraft {
  return {
    stage,
    stageVersion: 1,
    key,
    config: {},
    inputs,
    files,
    shards: { total: 1, skipped: [] },
    metrics: { tokens: 3 },
    provenance: { codeVersion: 'test', machine, device: 'cpu', backend: 'none', threads: 1, node: 'v20', createdAt: '2026-01-01T00:00:00Z', seconds: 1, gpuSeconds: 0 },
  };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
