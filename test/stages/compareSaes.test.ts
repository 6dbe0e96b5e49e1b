// A comparison of two SAEs from artifacts whose decoders are known: a permutation with some features replaced, silent
// features on both sides. Counts can be checked by hand, and what is written is the same bytes wherever it is made.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openStore, type ArtifactStore } from '../../data/artifactStore.ts';
import { comparisonKey, comparisonPath, readComparison } from '../../data/comparison.ts';
import { specOf } from '../../data/inputs.ts';
import { encodeSafetensors } from '../../data/safetensors.ts';
import { resolveInput } from '../../presets/resolve.ts';
import { featureMatches, saeComparison } from '../../schemas/comparison.ts';
import { UserError } from '../../schemas/errors.ts';
import type { Job } from '../../schemas/jobs.ts';
import { StoppedError, type JobContext } from '../../stages/context.ts';
import { runJob } from '../../stages/jobs.ts';
import { loadBackend } from '../../workers/tensorflow.ts';
import { activationsSpec, dashboardSpec, saeSpec, transformerSpec } from '../../workflows/specs.ts';
import { putArtifact } from './finishedArtifacts.ts';

const config = resolveInput('tiny');
const tokenize = 'd'.repeat(64);

interface GivenSae {
  seed: number;
  decoder: readonly (readonly number[])[];
  /** Share of tokens on which each feature fired. */
  density: readonly number[];
  hook?: string;
  valLoss?: number;
  l0?: number;
}

let folder: string;
beforeAll(async () => {
  await loadBackend({ threads: 1 });
  folder = await mkdtemp(join(tmpdir(), 'saeflow-compare-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A finished transformer, SAE and dashboard; returns the dashboard's key. */
async function put(store: ArtifactStore, { seed, decoder, density, hook = 'blocks.0.mlp.hook_post', valLoss = 4, l0 = 10 }: GivenSae): Promise<string> {
  const own = { ...config, seed };
  const features = decoder.length;
  const trainTransformer = (await putArtifact(store, transformerSpec(own, { tokenize }), [], { valLoss })).key;
  const sampleActivations = (await putArtifact(store, activationsSpec(own, hook, { tokenize, trainTransformer }), [], {})).key;
  const weights = encodeSafetensors({ W_dec: { shape: [features, decoder[0]!.length], data: Float32Array.from(decoder.flat()), dtype: 'F32' } });
  const trainSae = (await putArtifact(store, saeSpec(own, { ...config.saes[0]!, hook, features }, { sampleActivations }), [{ path: 'sae_weights.safetensors', bytes: weights }], {})).key;
  const column = density.map(() => 0);
  const index = { features, density, maxActivation: column, topToken: column, topLang: density.map(() => ''), topLangShare: column, topExamples: column };
  const spec = dashboardSpec(own, { tokenize, trainTransformer, sampleActivations, trainSae });
  const alive = density.filter((value) => value > 0).length;
  return (await putArtifact(store, spec, [{ path: 'site/data/index.json', bytes: Buffer.from(JSON.stringify(index)) }], { l0, lossRecovered: 0.9, fvu: 0.2, alive })).key;
}

const contextOf = (store: ArtifactStore, shouldStop = () => false): JobContext => ({ store, device: 'cpu', report: () => undefined, shouldStop });
const compare = async (store: ArtifactStore, before: string, after: string, context = contextOf(store)) => {
  const job: Job = { kind: 'compareSaes', artifact: { stage: 'exportDashboard', key: after }, storeUri: store.uri, before };
  return saeComparison.parse(await runJob(job, context));
};
const json = async (store: ArtifactStore, path: string) => JSON.parse(Buffer.from(await store.get(path)).toString()) as unknown;

const axis = (component: number, sign = 1) => Array.from({ length: 8 }, (_, index) => (index === component ? sign : 0));
// Eight directions at right angles. Before: feature n looks along axis n, and 6 and 7 never fired.
const old: GivenSae = { seed: 1, decoder: [0, 1, 2, 3, 4, 5, 6, 7].map((n) => axis(n)), density: [0.1, 0.2, 0.3, 0.1, 0.1, 0.1, 0, 0], valLoss: 4.25, l0: 12 };
// After: axes 3, 0, 2 are kept (in that order); 1 and 4 were turned round, so lost, and two are new; 5 is kept in direction but
// fires no more; 6 fires now for the first time, so it is new; the last never fired.
const now: GivenSae = { seed: 2, decoder: [axis(3), axis(0), axis(2), axis(1, -1), axis(4, -1), axis(5), axis(6), axis(7)], density: [0.1, 0.1, 0.4, 0.1, 0.2, 0, 0.1, 0], valLoss: 4.125, l0: 9.5 };

describe('compareSaes', () => {
  it('counts what is kept, lost and new among features that fired, and says which is which', async () => {
    const store = openStore(join(folder, 'counts'));
    const [before, after] = [await put(store, old), await put(store, now)];
    const comparison = await compare(store, before, after);
    expect(comparison.features).toEqual({ threshold: 0.7, kept: 3, lost: 3, new: 3, meanCosine: 1 });
    expect(comparison.reason).toBe('');
    expect(comparison.metrics).toEqual({
      valLoss: { before: 4.25, after: 4.125 },
      l0: { before: 12, after: 9.5 },
      lossRecovered: { before: 0.9, after: 0.9 },
      fvu: { before: 0.2, after: 0.2 },
      alive: { before: 6, after: 6 },
    });
    expect(comparison.before.exportDashboard).toBe(before);
    expect(comparison.after.exportDashboard).toBe(after);
    expect(comparison.before.trainTransformer).not.toBe(comparison.after.trainTransformer);
    expect(comparison.key).toBe(comparisonKey({ before, after }));
    expect(featureMatches.parse(await json(store, comparisonPath(comparison.key, 'features.json')))).toEqual({
      before: [3, 0, 2, -1, -1, -1, -1, -1],
      cosine: [1, 1, 1, 0, 0, 0, 0, 0],
      lost: [1, 4, 5],
    });
  });

  it('is written once, found afterwards, and the same bytes in another store', async () => {
    const [one, other] = [openStore(join(folder, 'one')), openStore(join(folder, 'other'))];
    const bytes = [];
    for (const store of [one, other]) {
      const [before, after] = [await put(store, old), await put(store, now)];
      const { key } = await compare(store, before, after);
      bytes.push(await Promise.all((['comparison.json', 'features.json'] as const).map((file) => store.get(comparisonPath(key, file)))));
    }
    expect(bytes[0]).toEqual(bytes[1]);
    const [before, after] = [await put(one, old), await put(one, now)];
    // found: nothing is read of the SAEs any more
    await one.deletePrefix('trainSae/');
    expect(await compare(one, before, after)).toEqual(await readComparison(one, comparisonKey({ before, after })));
  });

  it('of SAEs that read different hooks, or vectors of different lengths, has metrics and a reason, and no features', async () => {
    const store = openStore(join(folder, 'spaces'));
    const before = await put(store, old);
    const elsewhere = await compare(store, before, await put(store, { ...now, hook: 'blocks.0.hook_resid_pre' }));
    expect(elsewhere).toMatchObject({ features: null, reason: 'features are not matched: the SAE read blocks.0.mlp.hook_post before and reads blocks.0.hook_resid_pre now', metrics: { l0: { before: 12, after: 9.5 } } });
    const wider = await compare(store, before, await put(store, { ...now, seed: 3, decoder: now.decoder.map((row) => [...row, 0]) }));
    expect(wider.features).toBeNull();
    expect(wider.reason).toBe('features are not matched: blocks.0.mlp.hook_post had 8 components before and has 9 now');
    await expect(store.get(comparisonPath(wider.key, 'features.json'))).rejects.toThrow('features.json');
  });

  it('has no mean cosine when nothing is kept', async () => {
    const store = openStore(join(folder, 'nothing'));
    const [before, after] = [await put(store, old), await put(store, { ...now, density: now.density.map(() => 0) })];
    expect((await compare(store, before, after)).features).toEqual({ threshold: 0.7, kept: 0, lost: 6, new: 0, meanCosine: null });
  });

  it('names an SAE that is gone or damaged, and writes nothing', async () => {
    const store = openStore(join(folder, 'gone'));
    const [before, after] = [await put(store, old), await put(store, now)];
    const { trainSae } = (await specOf(store, { stage: 'exportDashboard', key: before }, 'exportDashboard')).inputs;
    await store.put(`trainSae/${trainSae}/sae_weights.safetensors`, Buffer.from('rubbish'));
    const failure: unknown = await compare(store, before, after).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(UserError);
    expect((failure as UserError).message).toContain(`trainSae/${trainSae}/sae_weights.safetensors is corrupted`);
    await store.deletePrefix(`trainSae/${trainSae}/`);
    await expect(compare(store, before, after)).rejects.toThrow('has no manifest');
    expect(await store.list('comparisons/')).toEqual([]);
  });

  it('stops when it is told to, with nothing written', async () => {
    const store = openStore(join(folder, 'stopped'));
    const [before, after] = [await put(store, old), await put(store, now)];
    await expect(compare(store, before, after, contextOf(store, () => true))).rejects.toBeInstanceOf(StoppedError);
    expect(await store.list('comparisons/')).toEqual([]);
  });
});
