// What the page needs to show texts token by token: a few held-out ones of every kind with all activations on them, and
// the weights with which it reads the reader's own.
import * as tf from '@tensorflow/tfjs-core';
import { artifactPath, readVerified } from '../data/artifact.ts';
import { chooseExampleTexts, titleOf } from '../data/exampleTexts.ts';
import { rounded } from '../data/featurePages.ts';
import { manifestOf, specOf } from '../data/inputs.ts';
import { decodeSafetensors } from '../data/safetensors.ts';
import { siteModelFiles } from '../data/siteModel.ts';
import { openTokenizer } from '../data/tokenizerFile.ts';
import { TextReader } from '../model/textReading.ts';
import type { FileEntry, Manifest, Receipt } from '../schemas/artifact.ts';
import { textList, textPage, type TextList } from '../schemas/dashboard.ts';
import type { ArtifactId, SpecOf } from '../schemas/stages.ts';
import { openModel, openSae, openTokens } from './artifacts.ts';
import { breathe, StoppedError, type JobContext } from './context.ts';

/** Writes site/data/texts/ and site/model/. `receipt` is the number of the receipt, after those of shards and blocks. */
export async function writeTexts(id: ArtifactId, receipt: number, context: JobContext): Promise<Receipt> {
  const started = performance.now();
  const { store } = context;
  const { config, inputs } = await specOf(store, id, 'exportDashboard');
  const tokenizeId: ArtifactId = { stage: 'tokenize', key: inputs.tokenize };
  const { tokenize } = (await specOf(store, tokenizeId, 'tokenize')).config;
  const tokenizer = await openTokenizer(store, tokenizeId, tokenize);
  const { tokens } = await openTokens(store, inputs.tokenize, 'heldOut');
  const { model, architecture } = await openModel(store, inputs.trainTransformer);
  const { sae, mean } = await openSae(store, inputs.trainSae);
  const { hook } = (await specOf(store, { stage: 'sampleActivations', key: inputs.sampleActivations }, 'sampleActivations')).config;
  const files: FileEntry[] = [];
  const put = async (path: string, bytes: Uint8Array) => files.push({ path, ...(await store.put(artifactPath(id, path), bytes)) });
  const putJson = (path: string, value: unknown) => put(path, Buffer.from(JSON.stringify(value)));

  const chosen = chooseExampleTexts(await tokens.documents('heldOut'), config.dashboard.exampleTexts, architecture.contextLength);
  const list: TextList = [];
  const reader = new TextReader(model, sae, hook);
  for (const [index, { start, length, lang, source }] of chosen.entries()) {
    // the document without its own end of text, after the one that ends the document before, as it stands in training
    const own = await tokens.read(start, Math.min(length - 1, architecture.contextLength - 1));
    const text = Int32Array.of(tokenizer.eot, ...own);
    const { features, values } = await reader.read(text);
    const file = `${String(index).padStart(5, '0')}.json`;
    await putJson(`site/data/texts/${file}`, textPage.parse({ tokens: [...text], features, values: values.map((row) => row.map(rounded)) }));
    list.push({ file, title: titleOf(tokenizer.decode(own)), lang, source, tokens: text.length });
    context.report({ done: index + 1, total: chosen.length, unit: 'texts', metrics: {} });
    await breathe();
    if (context.shouldStop()) throw new StoppedError();
  }
  reader.dispose();
  tf.dispose([model.parameters, { ...sae }, mean]);
  await putJson('site/data/texts/index.json', textList.parse(list));
  for (const { path, bytes } of await modelFiles(context, inputs, architecture, hook, tokenize)) await put(`site/model/${path}`, bytes);
  return { shard: receipt, files, metrics: { texts: list.length }, seconds: (performance.now() - started) / 1000, device: context.device };
}

async function modelFiles({ store }: JobContext, inputs: SpecOf<'exportDashboard'>['inputs'], architecture: Parameters<typeof siteModelFiles>[0]['architecture'], hook: string, tokenize: SpecOf<'tokenize'>['config']['tokenize']) {
  const read = async (manifest: Manifest, path: string) => readVerified(store, { stage: manifest.stage, key: manifest.key }, manifest.files.find((file) => file.path === path)!);
  const [transformer, sae, tokens] = [await manifestOf(store, 'trainTransformer', inputs.trainTransformer), await manifestOf(store, 'trainSae', inputs.trainSae), await manifestOf(store, 'tokenize', inputs.tokenize)];
  return siteModelFiles({
    transformer: decodeSafetensors(await read(transformer, 'model.safetensors')).tensors,
    sae: decodeSafetensors(await read(sae, 'sae_weights.safetensors')).tensors,
    architecture,
    hook,
    tokenize,
    tokenizerJson: tokenize.tokenizer === 'gpt2' ? undefined : await read(tokens, 'tokenizer.json'),
  });
}
