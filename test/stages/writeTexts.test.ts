// The job behind the pages of texts: what it writes is what model and SAE say by another path, and the same every time.
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { artifactPath, specKey, writeSpec } from '../../data/artifact.ts';
import type { ArtifactStore } from '../../data/artifactStore.ts';
import { fromFloat16 } from '../../data/float16.ts';
import { decodeSafetensors } from '../../data/safetensors.ts';
import { createTokenizer } from '../../data/tokenizer.ts';
import { encode } from '../../model/sae.ts';
import type { Receipt } from '../../schemas/artifact.ts';
import { siteModel, textList, textPage } from '../../schemas/dashboard.ts';
import type { SpecOf } from '../../schemas/stages.ts';
import { openModel, openSae } from '../../stages/artifacts.ts';
import { StoppedError } from '../../stages/context.ts';
import { runStage } from '../../stages/inProcess.ts';
import { runJob } from '../../stages/jobs.ts';
import { TinyInputs } from './tinyInputs.ts';

let inputs: TinyInputs;
let sae: string;
let store: ArtifactStore;
let receipt: Receipt;

const specOfTexts = (exampleTexts: number): SpecOf<'exportDashboard'> => ({ stage: 'exportDashboard', config: { dashboard: { ...inputs.config.dashboard, exampleTexts } }, inputs: { ...inputs.keys, trainSae: sae } });
const idOfTexts = (exampleTexts: number) => ({ stage: 'exportDashboard' as const, key: specKey(specOfTexts(exampleTexts)) });

async function write(into: ArtifactStore, exampleTexts: number, shouldStop = () => false): Promise<Receipt> {
  const artifact = idOfTexts(exampleTexts);
  await writeSpec(into, artifact, specOfTexts(exampleTexts));
  return (await runJob({ kind: 'writeTexts', artifact, storeUri: into.uri, shard: 6 }, { store: into, device: 'cpu', report: () => undefined, shouldStop })) as Receipt;
}

beforeAll(async () => {
  inputs = await TinyInputs.make();
  store = inputs.store;
  sae = (await runStage(store, inputs.sae({}))).artifact.key;
  receipt = await write(store, 7);
});
afterAll(() => inputs.remove());

const json = async (path: string): Promise<unknown> => JSON.parse(Buffer.from(await store.get(artifactPath(idOfTexts(7), path))).toString());

describe('the texts of a dashboard', () => {
  it('are as many as asked for, begin with an end of text, and fit the context', async () => {
    const list = textList.parse(await json('site/data/texts/index.json'));
    const { eot } = createTokenizer(512);
    expect(list).toHaveLength(7);
    expect(receipt).toMatchObject({ shard: 6, metrics: { texts: 7 } });
    for (const { file, tokens } of list) {
      const page = textPage.parse(await json(`site/data/texts/${file}`));
      expect(page.tokens[0]).toBe(eot);
      expect(page.tokens.slice(1)).not.toContain(eot);
      expect(page.tokens).toHaveLength(tokens);
      expect(tokens).toBeLessThanOrEqual(32);
    }
  });

  it('have the activations that the positions of a prompt have, strongest first', async () => {
    const { model } = await openModel(store, inputs.keys.trainTransformer);
    const { sae: parameters } = await openSae(store, sae);
    for (const file of ['00000.json', '00005.json']) {
      const { tokens, features, values } = textPage.parse(await json(`site/data/texts/${file}`));
      const f = tf.tidy(() => encode(parameters, model.activationsAt('blocks.0.mlp.hook_post', tf.tensor1d(tokens, 'int32'), 1, Int32Array.from(tokens.keys()))).arraySync() as number[][]);
      let fired = 0;
      f.forEach((row, position) => {
        const found = new Map(features[position]!.map((feature, rank) => [feature, values[position]![rank]!]));
        row.forEach((value, feature) => expect(Math.abs((found.get(feature) ?? 0) - value)).toBeLessThanOrEqual(1e-3 * Math.max(...row)));
        expect(values[position]).toEqual([...values[position]!].sort((a, b) => b - a));
        fired += found.size;
      });
      expect(fired).toBeGreaterThan(tokens.length);
    }
  });

  it('come with the weights in half precision, as config.json describes them', async () => {
    const config = siteModel.parse(await json('site/model/config.json'));
    expect(config).toMatchObject({ hook: 'blocks.0.mlp.hook_post', features: 64, architecture: inputs.config.transformer.architecture });
    const { sae: parameters } = await openSae(store, sae);
    const { tensors } = decodeSafetensors(await store.get(artifactPath(idOfTexts(7), `site/model/${config.sae.file}`)));
    const stored = fromFloat16(tensors['W_dec']!.data as Uint16Array);
    parameters.W_dec.dataSync().forEach((value, index) => expect(Math.abs(stored[index]! - value)).toBeLessThanOrEqual(2 ** -11 * Math.abs(value) + 2 ** -25));
    for (const { file, sha256, bytes } of [config.transformer, config.sae]) expect(receipt.files).toContainEqual(expect.objectContaining({ path: `site/model/${file}`, sha256, bytes }));
  });

  it('are the same bytes in another store, after having been stopped half way', async () => {
    const other = await inputs.copy('again');
    await runStage(other, inputs.sae({}));
    let asked = 0;
    await expect(write(other, 7, () => ++asked === 3)).rejects.toBeInstanceOf(StoppedError);
    const again = await write(other, 7);
    expect(again.files.map(({ path, sha256 }) => [path, sha256])).toEqual(receipt.files.map(({ path, sha256 }) => [path, sha256]));
  });
});
