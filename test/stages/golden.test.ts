// What may change only together with a stage's version number (schemas/stages.ts): the hash of all that each stage makes
// of inputs that never change. Floats differ in last digits between processors, so the hashes are of the portable path, on
// TensorFlow.js's backend in plain JavaScript, whose sums every machine adds up in one order; and the path that runs in
// earnest (native TensorFlow, the SAE kernel) must come near the portable one, closer than any change of what is computed.
import { createHash } from 'node:crypto';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { resolveCorpus } from '../../activities/resolveCorpus.ts';
import { decodeActivationShard } from '../../data/activationShard.ts';
import { artifactPath, readManifest, specKey } from '../../data/artifact.ts';
import { openStore, type ArtifactStore } from '../../data/artifactStore.ts';
import { decodeSafetensors } from '../../data/safetensors.ts';
import { registerLossKernel } from '../../model/lossKernel.ts';
import { registerSaeKernel } from '../../model/saeKernel.ts';
import { stageVersions, type StageName, type StageSpec } from '../../schemas/stages.ts';
import { runStage } from '../../stages/inProcess.ts';
import { loadBackend } from '../../workers/tensorflow.ts';
import { goldenCorpus, goldenSpecs, type InputKeys } from './golden/config.ts';

/** [stage's version, hash]: a new hash needs a new version in the same change. */
const golden: Record<StageName, readonly [number, string]> = {
  tokenize: [1, '65f131c77fcd60a4'],
  trainTransformer: [4, '16855e3cbc4edf7b'],
  sampleActivations: [3, '1a9886e375c3d2f2'],
  trainSae: [4, 'c17db5d1e4c04b76'],
  exportDashboard: [4, 'e3016a665841e955'],
};
/** Relative. Last digits that differ come to some 1e-7 in a dozen steps, a changed rate, decay or norm to more than this. */
const near = 1e-4;

const inputsFolder = join(import.meta.dirname, 'golden/inputs');
let folder: string;
let keys: InputKeys;
let corpus: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'saeflow-golden-'));
  keys = JSON.parse(await readFile(join(inputsFolder, 'keys.json'), 'utf8')) as InputKeys;
  await writeFile(join(folder, 'corpus.jsonl'), goldenCorpus());
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A store of its own that holds a stage's inputs, and nothing of the stage itself. */
async function freshStore(name: string, stage: StageName): Promise<ArtifactStore> {
  const root = join(folder, name, stage);
  await cp(inputsFolder, root, { recursive: true });
  await rm(join(root, stage), { recursive: true, force: true });
  const store = openStore(root);
  ({ key: corpus } = await resolveCorpus({ store, cwd: folder }, { ...goldenSpecs.tokenize('').config.corpus, paths: ['corpus.jsonl'] }));
  return store;
}

function specOf(stage: StageName): StageSpec {
  return stage === 'tokenize' ? goldenSpecs.tokenize(corpus) : goldenSpecs[stage](keys);
}

/** Of names and bytes of all files of the artifact; its own key, which changes with the version, is left out of them. */
async function hashOf(store: ArtifactStore, spec: StageSpec): Promise<string> {
  const id = { stage: spec.stage, key: specKey(spec) };
  const hash = createHash('sha256');
  for (const { path } of (await readManifest(store, id))!.files) {
    const bytes = Buffer.from(await store.get(artifactPath(id, path))).toString('latin1');
    hash.update(path).update(bytes.replaceAll(id.key, '0'.repeat(64)), 'latin1');
  }
  return hash.digest('hex').slice(0, 16);
}

describe('on the portable path', () => {
  beforeAll(async () => {
    await tf.setBackend('cpu');
    registerSaeKernel(undefined);
    registerLossKernel(undefined);
  });

  it.each(Object.keys(golden) as StageName[])('%s makes what its version says', async (stage) => {
    const [version, hash] = golden[stage];
    const store = await freshStore('portable', stage);
    const spec = specOf(stage);
    await runStage(store, spec);
    expect(stageVersions[stage], 'a new version needs a new golden hash').toBe(version);
    expect(await hashOf(store, spec), `raise stageVersions.${stage} in schemas/stages.ts when its output changes, then put the new hash here`).toBe(hash);
  });
});

describe('on the path that runs in earnest', () => {
  /** The numbers that a stage makes, as its files hold them. */
  const numbers: Record<Exclude<StageName, 'tokenize'>, (store: ArtifactStore, spec: StageSpec) => Promise<Record<string, ArrayLike<number>>>> = {
    trainTransformer: (store, spec) => tensorsOf(store, spec, 'model.safetensors'),
    async sampleActivations(store, spec) {
      const { activations, document, position, token } = await decodeActivationShard(await fileOf(store, spec, 'shards/00001.parquet'));
      return { activations, document, position, token };
    },
    trainSae: (store, spec) => tensorsOf(store, spec, 'sae_weights.safetensors'),
    async exportDashboard(store, spec) {
      const { density, maxActivation } = JSON.parse(Buffer.from(await fileOf(store, spec, 'site/data/index.json')).toString()) as Record<string, number[]>;
      const { metrics } = (await readManifest(store, { stage: spec.stage, key: specKey(spec) }))!;
      return { density: density!, maxActivation: maxActivation!, metrics: Object.values(metrics) };
    },
  };

  it.each(Object.keys(numbers) as (keyof typeof numbers)[])('%s comes near the portable one', async (stage) => {
    // Which features are dead, and so which are resampled, can hang on a last digit.
    const spec = stage === 'trainSae' ? goldenSpecs.trainSae(keys, { resampling: { ...goldenSpecs.trainSae(keys).config.sae.resampling, steps: [] } }) : specOf(stage);
    const make = async (name: string) => {
      const store = await freshStore(name, stage);
      await runStage(store, spec);
      return numbers[stage](store, spec);
    };
    await tf.setBackend('cpu');
    registerSaeKernel(undefined);
    registerLossKernel(undefined);
    const portable = await make('portable again');
    await loadBackend({});
    await tf.setBackend('tensorflow').catch(() => tf.setBackend('wasm'));
    const native = await make('native');
    expect(Object.keys(native)).toEqual(Object.keys(portable));
    for (const [name, values] of Object.entries(portable)) expect(distance(native[name]!, values), name).toBeLessThan(near);
  });
});

/** ‖a − b‖ / ‖b‖ */
function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  let [difference, size] = [0, 0];
  for (let index = 0; index < b.length; index++) {
    difference += (a[index]! - b[index]!) ** 2;
    size += b[index]! ** 2;
  }
  return Math.sqrt(difference / (size || 1));
}

async function fileOf(store: ArtifactStore, spec: StageSpec, path: string): Promise<Uint8Array> {
  return store.get(artifactPath({ stage: spec.stage, key: specKey(spec) }, path));
}

async function tensorsOf(store: ArtifactStore, spec: StageSpec, path: string): Promise<Record<string, ArrayLike<number>>> {
  const { tensors } = decodeSafetensors(await fileOf(store, spec, path));
  return Object.fromEntries(Object.entries(tensors).map(([name, { data }]) => [name, data as Float32Array]));
}
