// Activations that are consumed: an SAE reads them while they are made and deleted, on a disk that holds a twentieth of
// them, and is the SAE that it would have been.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyArtifact, readManifest, specKey, writeSpec, artifactPath } from '../../data/artifact.ts';
import { openStore, type ArtifactStore } from '../../data/artifactStore.ts';
import { CountedStore } from '../../data/countedStore.ts';
import { findGarbage } from '../../data/garbage.ts';
import { planReading, planSupply, storedVectorBytes } from '../../data/supplyPlan.ts';
import { absentShards, presentShards } from '../../data/shardFiles.ts';
import type { ActivationsConfig, SaeConfig } from '../../schemas/config.ts';
import { UserError } from '../../schemas/errors.ts';
import { AbsentShardError } from '../../data/activationFile.ts';
import type { SpecOf, StageSpec } from '../../schemas/stages.ts';
import { runStage } from '../../stages/inProcess.ts';
import { runJob } from '../../stages/jobs.ts';
import { runCli } from '../cli/runCli.ts';
import { idOf, TinyInputs } from './tinyInputs.ts';

let inputs: TinyInputs;

beforeAll(async () => {
  inputs = await TinyInputs.make();
}, 600_000);
afterAll(() => inputs.remove());

/** A store that knows how much of activations it held at most. */
class WatchedStore extends CountedStore {
  peakBytes = 0;
  writtenBytes = 0;
  private readonly bytesOf = new Map<string, number>();

  override async putPieces(path: string, pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<{ sha256: string; bytes: number }> {
    const stored = await super.putPieces(path, pieces);
    this.writtenBytes += stored.bytes;
    this.bytesOf.set(path, stored.bytes);
    this.peakBytes = Math.max(this.peakBytes, [...this.bytesOf.values()].reduce((sum, bytes) => sum + bytes, 0));
    return stored;
  }

  override async delete(path: string): Promise<void> {
    await super.delete(path);
    this.bytesOf.delete(path);
  }
}

class SmallStore extends CountedStore {
  override freeBytes(): Promise<number> {
    return Promise.resolve(100_000);
  }
}

/** 8,192 vectors in 128 shards, mixed two at a time. */
function activations(change: Partial<ActivationsConfig>): SpecOf<'sampleActivations'> {
  const spec = inputs.activations();
  return { ...spec, config: { ...spec.config, activations: { ...spec.config.activations, promptsPerShard: 4, batchPrompts: 4, ...change } } };
}

function sae(change: Partial<SaeConfig> = {}): SpecOf<'trainSae'> {
  const spec = inputs.sae({ initVectors: 256, resampling: { ...inputs.config.saes[0]!.resampling, candidates: 256 }, ...change });
  return { ...spec, inputs: { sampleActivations: specKey(activations({})) } };
}

function pages(): SpecOf<'exportDashboard'> {
  const { tokenize, trainTransformer } = inputs.keys;
  return { stage: 'exportDashboard', config: { dashboard: inputs.config.dashboard }, inputs: { tokenize, trainTransformer, sampleActivations: specKey(activations({})), trainSae: specKey(sae()) } };
}

const copy = (name: string) => inputs.copy(name, /^sampleActivations/);
const contentOf = async (store: ArtifactStore, spec: StageSpec) => (await readManifest(store, idOf(spec)))?.contentSha256;

/** As the pipeline does: the SAE first, and then what is left of sampling. */
async function consume(store: ArtifactStore, spec: SpecOf<'trainSae'>, change: Partial<ActivationsConfig> = {}): Promise<void> {
  const sampling = activations({ retention: 'consume', ...change });
  await writeSpec(store, idOf(sampling), sampling);
  await runStage(store, spec);
  await runStage(store, sampling);
}

// Each shard is a job of its own, which opens model and tokens.
describe('activations that are consumed', { timeout: 300_000 }, () => {
  it('give the SAE that kept ones give, though the disk never holds more than a twentieth of them', async () => {
    const kept = await copy('kept');
    await runStage(kept, activations({}));
    await runStage(kept, sae());
    const watched = new WatchedStore(await copy('consumed'));
    await consume(watched, sae());
    expect(await contentOf(watched, sae())).toBe(await contentOf(kept, sae()));
    expect(await contentOf(watched, activations({}))).toBe(await contentOf(kept, activations({})));
    for (const store of [kept, watched]) await runStage(store, pages());
    expect(await contentOf(watched, pages())).toBe(await contentOf(kept, pages()));
    const { bytes } = (await readManifest(kept, idOf(activations({}))))!;
    expect(watched.peakBytes * 20).toBeLessThanOrEqual(bytes);
    // planned beforehand: two groups of two shards
    const planned = 4 * 64 * storedVectorBytes(64, 'float16');
    expect(watched.peakBytes).toBeGreaterThan(planned / 2);
    // footers and page headers weigh something in shards of 9 KB
    expect(watched.peakBytes).toBeLessThanOrEqual(1.15 * planned);
    process.stdout.write(`peak ${watched.peakBytes} bytes, planned ${planned}, of ${bytes}; written ${watched.writtenBytes}\n`);
    expect(await presentShards(watched, idOf(activations({})))).toEqual([]);
  });

  it('are consumed as what they are: verify, gc and another SAE know', async () => {
    const store = openStore(`${inputs.folder}/consumed`);
    const id = idOf(activations({}));
    expect(await absentShards(store, id)).toBe(128);
    expect(await verifyArtifact(store, idOf(sae()), { ancestors: true })).toEqual([]);
    const verified = await runCli(inputs.folder, ['verify', `sampleActivations/${id.key}`, '--store', `${inputs.folder}/consumed`]);
    expect(verified).toMatchObject({ exitCode: 0, stderr: '' });
    expect(verified.stdout).toMatch(/^ok .*128 shards were consumed/);
    expect((await findGarbage(store, { olderThanMs: 0, inUse: () => false })).garbage).toEqual([]);
    // A run that keeps finds the artifact; what its SAE reads is made again, and stays.
    const other = sae({ l1Coefficient: 1e-2 });
    await writeSpec(store, id, activations({ retention: 'keep' }));
    expect((await planSupply(store, other)).supply).toBeDefined();
    await runStage(store, other);
    expect(await absentShards(store, id)).toBe(0);
    expect((await planSupply(store, sae({ l1Coefficient: 2e-2 }))).supply).toBeUndefined();
    expect(await verifyArtifact(store, id, { ancestors: true })).toEqual([]);
    const kept = openStore(`${inputs.folder}/kept`);
    await runStage(kept, other);
    expect(await contentOf(store, other)).toBe(await contentOf(kept, other));
  });

  it('are made again for a second epoch, and for a resampling that goes on at the start again', async () => {
    // 8,192 vectors twice are 128 steps; the last resampling's candidates are steps 127, 0 and on.
    const twice = sae({ epochs: 2, batchSize: 128, segmentSteps: 50, resampling: { ...inputs.config.saes[0]!.resampling, steps: [40, 127], candidates: 512 } });
    const kept = openStore(`${inputs.folder}/kept`);
    await runStage(kept, twice);
    const watched = new WatchedStore(await copy('twice'));
    await consume(watched, twice);
    expect(await contentOf(watched, twice)).toBe(await contentOf(kept, twice));
    const { bytes } = (await readManifest(kept, idOf(activations({}))))!;
    expect(watched.writtenBytes).toBeGreaterThan(1.9 * bytes);
    expect(watched.peakBytes * 10).toBeLessThan(bytes);
  });

  it('end the same when batches, groups and segments end nowhere together', async () => {
    const odd = sae({ batchSize: 100, mixShards: 3, segmentSteps: 17, initVectors: 500, resampling: { ...inputs.config.saes[0]!.resampling, steps: [23], candidates: 700 } });
    const kept = openStore(`${inputs.folder}/kept`);
    await runStage(kept, odd);
    const store = await copy('odd');
    await consume(store, odd);
    expect(await contentOf(store, odd)).toBe(await contentOf(kept, odd));
  });

  it('a segment that lacks a shard saves what it did and says so; without a supply it is an error', async () => {
    const store = await copy('lacking');
    const sampling = activations({ retention: 'consume' });
    await writeSpec(store, idOf(sampling), sampling);
    const spec = sae();
    await writeSpec(store, idOf(spec), spec);
    const context = { store, device: 'cpu', report: () => undefined, shouldStop: () => false };
    const common = { artifact: idOf(spec), storeUri: store.uri };
    const make = async (shards: number[]) => {
      for (const shard of shards) await runJob({ kind: 'sampleShard', artifact: idOf(sampling), storeUri: store.uri, shard, again: true }, context);
    };
    expect(await runJob({ kind: 'initialiseSae', ...common, supplied: true }, context)).toMatchObject({ step: 0, absent: true });
    await make((await planReading(store, spec, { kind: 'initialise' })).need);
    await runJob({ kind: 'initialiseSae', ...common, supplied: true }, context);
    // initial weights were made from the first four shards: two steps
    expect(await runJob({ kind: 'trainSaeSegment', ...common, toStep: 16, stopAt: 5 }, context)).toMatchObject({ step: 2, absent: true });
    expect(await planReading(store, spec, { kind: 'segment', from: 0, toStep: 16, absent: false })).toMatchObject({ from: 2, position: 4 });
    await expect(runJob({ kind: 'trainSaeSegment', ...common, toStep: 16 }, context)).rejects.toBeInstanceOf(AbsentShardError);
  });

  it('refuses a shard that comes out otherwise when it is made again', async () => {
    const store = await copy('otherwise');
    const sampling = activations({ retention: 'consume' });
    await runStage(store, sampling);
    const path = artifactPath(idOf(sampling), 'receipts/00003.json');
    const receipt = Buffer.from(await store.get(path)).toString();
    await store.put(path, Buffer.from(receipt.replace(/"sha256": "[0-9a-f]{64}"/, `"sha256": "${'0'.repeat(64)}"`)));
    const context = { store, device: 'cpu', report: () => undefined, shouldStop: () => false };
    const again = runJob({ kind: 'sampleShard', artifact: idOf(sampling), storeUri: store.uri, shard: 3, again: true }, context);
    await expect(again).rejects.toThrow(/00003\.parquet, made again, differs from what it was: SHA-256 0{64} expected/);
    expect(await presentShards(store, idOf(sampling))).toEqual([]);
  });
});

describe('a disk that is too small', () => {
  it('is refused before sampling, with the arithmetic and the remedy', async () => {
    const store = new SmallStore(await copy('small'));
    const error = (await planSupply(store, activations({})).catch((thrown: unknown) => thrown)) as UserError;
    expect(error).toBeInstanceOf(UserError);
    expect(error.message).toContain('8,192 vectors of blocks.0.mlp.hook_post × 140 bytes = 1,146,880 bytes at once, 100,000 bytes are free');
    expect(error.remedy).toContain('activations.retention=consume');
  });

  it('is large enough for the same vectors consumed, and refused where not even those fit', async () => {
    const store = new SmallStore(await copy('small'));
    const sampling = activations({ retention: 'consume' });
    await writeSpec(store, idOf(sampling), sampling);
    expect(await planSupply(store, sampling)).toEqual({});
    const small = sae({ features: 8 });
    expect((await planSupply(store, small)).supply).toMatchObject({ windowShards: 6 });
    const wide = sae({ features: 8, mixShards: 16 });
    const error = (await planSupply(store, wide).catch((thrown: unknown) => thrown)) as UserError;
    expect(error.message).toContain('a window of 48 shards × 64 vectors × 140 bytes, and 39,456 bytes of checkpoints = 469,536 bytes at once, 100,000 bytes are free');
    expect(error.remedy).toContain('saes[].mixShards');
  });
});
