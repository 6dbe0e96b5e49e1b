// Where b_dec starts, and what is said of it.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { specKey, writeSpec } from '../../data/artifact.ts';
import { openStore } from '../../data/artifactStore.ts';
import { saeConfig } from '../../schemas/config.ts';
import { jobResults, type SegmentResult } from '../../schemas/jobs.ts';
import type { SpecOf } from '../../schemas/stages.ts';
import { runJob } from '../../stages/jobs.ts';
import { loadBackend } from '../../workers/tensorflow.ts';
import { putActivations } from './finishedArtifacts.ts';

let folder: string;
beforeAll(async () => {
  await loadBackend({});
  folder = await mkdtemp(join(tmpdir(), 'saeflow-initialise-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** The job's answer on the given vectors of two components, the same when it is asked again. */
async function initialise(name: string, vectors: number[][], decoderBiasInit: 'geometric-median' | 'linear'): Promise<SegmentResult> {
  const store = openStore(join(folder, name));
  const activations = await putActivations(store, [Float32Array.from(vectors.flat())], 2, { dtype: 'float32' });
  const sae = saeConfig.parse({ features: 4, batchSize: vectors.length, decoderBiasInit });
  const spec: SpecOf<'trainSae'> = { stage: 'trainSae', config: { seed: 1, sae }, inputs: { sampleActivations: activations.key } };
  const artifact = { stage: 'trainSae', key: specKey(spec) } as const;
  await writeSpec(store, artifact, spec);
  const ask = async () => jobResults.initialiseSae.parse(await runJob({ kind: 'initialiseSae', artifact, storeUri: store.uri }, { store, device: 'cpu', report: () => undefined, shouldStop: () => false }));
  const answer = await ask();
  expect(await ask()).toEqual(answer);
  return answer;
}

/** With 120 degrees at one corner the median is that corner, but only just: Weiszfeld's iteration creeps up to it. */
const creeping = [[0, 0], [1, 0], [-0.5, Math.sqrt(3) / 2]];
const square = [[0, 0], [1, 0], [0, 1], [1, 1]];

it.each([
  ['says that the geometric median was found', square, 'geometric-median', { medianConverged: 1 }],
  ['says that it was not, and after how many iterations', creeping, 'geometric-median', { medianConverged: 0, medianIterations: 200 }],
  ['says nothing of it where b_dec starts elsewhere', square, 'linear', { scale: 1, medianIterations: 0 }],
] as const)('%s', async (name, vectors, decoderBiasInit, expected) => {
  const { metrics } = await initialise(name.slice(-9), vectors.map((vector) => [...vector]), decoderBiasInit);
  expect(metrics).toMatchObject(expected);
  expect('medianConverged' in metrics).toBe(decoderBiasInit === 'geometric-median');
});
