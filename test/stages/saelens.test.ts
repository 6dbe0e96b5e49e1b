// An SAE as saeflow exports it, evaluated by saeflow and by SAELens on the same held-out tokens: L0, L1, MSE, FVU, density,
// the four losses and loss recovered (test/oracle/saelens_evaluation.py). And that runs still export what SAELens read.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { artifactPath, readReceipt, specKey, writeSpec } from '../../data/artifact.ts';
import { readFirings } from '../../data/firings.ts';
import { openStore, type ArtifactStore } from '../../data/artifactStore.ts';
import { latestCheckpoint } from '../../data/checkpoint.ts';
import { evaluationOf, type EvaluationSums } from '../../data/evaluation.ts';
import { decodeSafetensors } from '../../data/safetensors.ts';
import { decode, encode, type SaeArrays } from '../../model/sae.ts';
import { saeTensors } from '../../model/saeTrainer.ts';
import { saeConfig } from '../../schemas/config.ts';
import { RandomStream } from '../../schemas/random.ts';
import type { ArtifactId, SpecOf } from '../../schemas/stages.ts';
import { runJob } from '../../stages/jobs.ts';
import { saeState } from '../../stages/saeTraining.ts';
import { loadBackend } from '../../workers/tensorflow.ts';
import { cfg, dashboardOfExport, oracleFile } from './exportedSae.ts';
import { putActivations } from './finishedArtifacts.ts';

const measures = ['l0', 'l1', 'mse', 'fvu', 'lossRecovered'] as const;
const losses = ['clean', 'reconstructed', 'zero', 'mean'] as const;
const expectation = z.record(z.enum([...measures, ...losses]), z.number());
const oracle = z.object({ tokens: z.int(), expected: expectation, density: z.array(z.number()) }).parse(JSON.parse(oracleFile('saelens.json').toString()));

let folder: string;
beforeAll(async () => {
  await loadBackend({});
  folder = await mkdtemp(join(tmpdir(), 'saeflow-saelens-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));
const context = (store: ArtifactStore) => ({ store, device: 'cpu', report: () => undefined, shouldStop: () => false });

describe('an exported SAE on held-out tokens', () => {
  let evaluation: ReturnType<typeof evaluationOf>;
  let density: number[];
  beforeAll(async () => {
    const store = openStore(join(folder, 'evaluation'));
    const id = await dashboardOfExport(store, { probes: [] });
    await runJob({ kind: 'readFeaturesShard', artifact: id, storeUri: store.uri, shard: 0 }, context(store));
    const receipt = (await readReceipt(store, id, 0))!;
    const { tensors } = decodeSafetensors(await store.get(artifactPath(id, receipt.files[0]!.path)));
    evaluation = evaluationOf(receipt.metrics as unknown as EvaluationSums, tensors['sum']!.data as Float64Array);
    const { firings } = await readFirings(store, id, 0, cfg.d_sae, cfg.d_in, 1, evaluation.tokens);
    const fired = firings.map(({ values }) => values.length);
    density = fired.map((count) => count / evaluation.tokens);
  });

  it.each(measures)('%s equals that of SAELens', (name) => {
    expect(evaluation.tokens).toBe(oracle.tokens);
    expect(Math.abs(evaluation[name] / oracle.expected[name] - 1)).toBeLessThan(2e-6);
  });

  it.each(losses)('the loss with %s activations equals that of SAELens and TransformerLens', (name) => {
    expect(Math.abs(evaluation.losses[name] / oracle.expected[name] - 1)).toBeLessThan(2e-6);
  });

  it('densities equal those of SAELens', () => {
    density.forEach((value, feature) => expect(value, `feature ${feature}`).toBeCloseTo(oracle.density[feature]!, 6));
    expect(density.filter((value) => value === 0).length).toBeGreaterThan(0);
  });
});

describe('a finished training', () => {
  let store: ArtifactStore;
  let id: ArtifactId;
  beforeAll(async () => {
    store = openStore(join(folder, 'training'));
    const stream = new RandomStream(1, 'saelens');
    const activations = await putActivations(store, [Float32Array.from({ length: 64 * cfg.d_in }, () => Math.abs(stream.normal()) / 8)], cfg.d_in, { hook: cfg.metadata.hook_name });
    const sae = saeConfig.parse({ features: cfg.d_sae, batchSize: 16, normalizeActivations: 'unit-mean-square', resampling: { steps: [] } });
    const spec: SpecOf<'trainSae'> = { stage: 'trainSae', config: { seed: 1, sae }, inputs: { sampleActivations: activations.key } };
    id = { stage: 'trainSae', key: specKey(spec) };
    await writeSpec(store, id, spec);
    await runJob({ kind: 'initialiseSae', artifact: id, storeUri: store.uri }, context(store));
    await runJob({ kind: 'trainSaeSegment', artifact: id, storeUri: store.uri, toStep: 4 }, context(store));
  });

  it('exports the configuration and the tensors that SAELens opened, and no other', async () => {
    expect(Buffer.from(await store.get(artifactPath(id, 'cfg.json'))).toString()).toBe(oracleFile('saelens/cfg.json').toString());
    const shapes = (bytes: Uint8Array) => Object.entries(decodeSafetensors(bytes).tensors).map(([name, { shape }]) => [name, shape]);
    expect(shapes(await store.get(artifactPath(id, 'sae_weights.safetensors')))).toEqual(shapes(oracleFile('saelens/sae_weights.safetensors')));
  });

  it('exports an SAE for activations as they are, whatever they were multiplied by in training', async () => {
    const arrays = (tensors: Record<string, { data: unknown }>, prefix: string) => Object.fromEntries(['W_enc', 'b_enc', 'W_dec', 'b_dec'].map((name) => [name, tensors[`${prefix}${name}`]!.data])) as unknown as SaeArrays;
    const checkpoint = (await latestCheckpoint(store, id, saeState))!;
    const { scale } = checkpoint.state;
    expect(Math.abs(scale - 1)).toBeGreaterThan(0.5);
    const exported = arrays(decodeSafetensors(await store.get(artifactPath(id, 'sae_weights.safetensors'))).tensors, '');
    const [inTraining, outside] = [arrays(checkpoint.tensors, 'param.'), exported].map((weights) => saeTensors(weights, cfg.d_in, cfg.d_sae));
    const x = tf.randomUniform<tf.Rank.R2>([8, cfg.d_in], 0, 0.25, 'float32', 1);
    const scaled = encode(inTraining!, tf.mul(x, scale));
    const plain = encode(outside!, x);
    expect(Math.max(...plain.dataSync())).toBeGreaterThan(0);
    const differences = [tf.sub(scaled, tf.mul(plain, scale)), tf.sub(decode(inTraining!, scaled), tf.mul(decode(outside!, plain), scale))];
    for (const difference of differences) expect(tf.max(tf.abs(difference)).dataSync()[0]).toBeLessThan(1e-5);
  });
});
