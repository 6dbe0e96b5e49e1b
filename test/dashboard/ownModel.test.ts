// The model in the browser against the same model in Node: WebAssembly, and WebGL and WebGPU as Chromium gives them in
// software, against native TensorFlow, on trained weights and on the shapes of a real run.
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { chromium, type Browser, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildPage } from '../../dashboard/buildPage.ts';
import type { Backend, NextTokens, TextRead } from '../../dashboard/own/protocol.ts';
import { fromFloat16 } from '../../data/float16.ts';
import { decodeSafetensors, type StoredTensor } from '../../data/safetensors.ts';
import { siteModelFiles } from '../../data/siteModel.ts';
import { createTokenizer, type Tokenizer } from '../../data/tokenizer.ts';
import { readTokenizerJson } from '../../data/tokenizerJson.ts';
import { encode, initialSae, type SaeParameters } from '../../model/sae.ts';
import { initialParameters, Transformer, type Tap, type Tensors } from '../../model/transformer.ts';
import { architectureConfig, paddedVocabSize, tokenizeConfig } from '../../schemas/config.ts';
import { siteModel } from '../../schemas/dashboard.ts';
import { setUpBrowser } from '../../setup/browser.ts';
import { smallTokenizer } from '../data/tokenizerFixtures.ts';
import { askWorker } from './ownWorker.ts';
import { copySite, makeTrainedSite } from './trainedSite.ts';
import { serveStrictly, type StrictServer } from './strictServer.ts';

/** WebGL and WebGPU in software, where the machine has no GPU. */
const launchArguments = ['--no-sandbox', '--headless=new', '--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--ignore-gpu-blocklist', '--enable-unsafe-webgpu', '--disable-background-networking'];
/** Largest difference over the largest number: float32 sums in another order, and each backend's own exp and erf. */
const tolerance = 2e-4;

const hostile = [
  'The committee met on 4 July 1776 & agreed.',
  '<script>alert(1)</script> \u202egnp.exe \u0000\t\r\n',
  '\ud83d lone \udc4d halves, 👩‍👩‍👧‍👦 families, e\u0301',
  "I'll   we've  don't\n\n  indented\u00a0\u0085\ufeff",
  'すべての人間は、生まれながらにして自由であり',
  'a'.repeat(300),
  '',
];

interface Site {
  folder: string;
  tokenizer: Tokenizer;
  server: StrictServer;
  page: Page;
}

let folder: string;
let browser: Browser;
let trained: Site;
let real: Site;
let imported: Site;
let cleanUp: () => Promise<void>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'saeflow-own-'));
  const tiny = join(folder, 'tiny');
  const site = await makeTrainedSite();
  const { inputs } = site;
  await copySite(site, tiny);
  cleanUp = () => inputs.remove();
  browser = await chromium.launch({ executablePath: await setUpBrowser(), args: launchArguments });
  trained = await serve(tiny, createTokenizer(inputs.config.tokenize.vocabSize));
  real = await serve(await writeDrawnModel(join(folder, 'real'), tiny, createTokenizer(8192)), createTokenizer(8192));
  const json = JSON.stringify(smallTokenizer());
  const tokenizer = readTokenizerJson(json, '<|endoftext|>', 'tokenizerSmall.json');
  imported = await serve(await writeDrawnModel(join(folder, 'imported'), tiny, tokenizer, Buffer.from(json)), tokenizer);
});
afterAll(async () => {
  await browser.close();
  for (const site of [trained, real, imported]) await site.server.close();
  await rm(folder, { recursive: true, force: true });
  await cleanUp();
});

async function serve(siteFolder: string, tokenizer: Tokenizer): Promise<Site> {
  const server = await serveStrictly(siteFolder);
  const page = await browser.newPage();
  await page.goto(`${server.url}#/texts`);
  return { folder: siteFolder, tokenizer, server, page };
}

/** A model of the shapes of the demo's run, its weights drawn: large enough for activations to be of order 1. */
async function writeDrawnModel(target: string, page: string, tokenizer: Tokenizer, tokenizerJson?: Uint8Array): Promise<string> {
  const architecture = architectureConfig.parse({ nLayer: 1, nHead: 4, dModel: 128, dMlp: 512, contextLength: 256 });
  const stored = (tensors: Record<string, { shape: number[]; data: Float32Array }>): Record<string, StoredTensor> => Object.fromEntries(Object.entries(tensors).map(([name, { shape, data }]) => [name, { dtype: 'F32', shape, data: data as Float32Array<ArrayBuffer> }]));
  const parameters = initialParameters(architecture, paddedVocabSize(tokenizer.vocabSize), 1);
  for (const [name, { data }] of Object.entries(parameters)) if (!/ln_/.test(name)) data.forEach((value, index) => (data[index] = 5 * value));
  const { W_enc, b_enc, W_dec, b_dec } = initialSae(512, 2048, 1);
  b_enc.fill(-1);
  const sae = { W_enc: { shape: [512, 2048], data: W_enc }, b_enc: { shape: [2048], data: b_enc }, W_dec: { shape: [2048, 512], data: W_dec }, b_dec: { shape: [512], data: b_dec } };
  const files = siteModelFiles({ transformer: stored(parameters), sae: stored(sae), architecture, hook: 'blocks.0.mlp.hook_post', tokenize: tokenizeConfig.parse({ vocabSize: tokenizer.vocabSize }), tokenizerJson });
  const vocabulary = { eot: tokenizer.eot, tokens: Array.from({ length: tokenizer.vocabSize }, (_, token) => Buffer.from(tokenizer.tokenBytes(token)).toString('latin1')) };
  const columns = await readdir(join(page, 'data/columns'));
  const all = [...files.map(({ path, bytes }) => ({ path: `model/${path}`, bytes })), { path: 'data/vocabulary.json', bytes: Buffer.from(JSON.stringify(vocabulary)) }, ...(await buildPage())];
  for (const name of ['data/texts/index.json', 'data/texts/00000.json', ...columns.map((name) => `data/columns/${name}`)]) all.push({ path: name, bytes: await readFile(join(page, name)) });
  for (const { path, bytes } of all) {
    await mkdir(dirname(join(target, path)), { recursive: true });
    await writeFile(join(target, path), bytes);
  }
  return target;
}

/** The site's own weights in Node, on native TensorFlow. */
async function inNode({ folder: siteFolder }: Site) {
  const config = siteModel.parse(JSON.parse(await readFile(join(siteFolder, 'model/config.json'), 'utf8')));
  const tensors = async (name: string): Promise<Tensors> => {
    const file = decodeSafetensors(await readFile(join(siteFolder, 'model', name))).tensors;
    return Object.fromEntries(Object.entries(file).map(([key, { shape, data }]) => [key, tf.tensor(fromFloat16(data as Uint16Array), shape)]));
  };
  const sae = (await tensors(config.sae.file)) as unknown as SaeParameters;
  return { config, model: new Transformer(config.architecture, await tensors(config.transformer.file)), sae };
}

type InNode = Awaited<ReturnType<typeof inNode>>;

/** Dense activations, and log-probabilities after each token with `factor` on a feature, by a plain forward pass. */
function reference({ config, model, sae }: InNode, tokens: number[], change?: { feature: number; factor: number }) {
  let f: Float32Array | undefined;
  const tap: Tap = (hook, x) => {
    if (hook !== config.hook) return x;
    f = encode(sae, x).dataSync() as Float32Array;
    if (change === undefined) return x;
    const values = Float32Array.from(x.dataSync());
    const [n, d] = x.shape;
    const decoder = sae.W_dec.dataSync();
    for (let row = 0; row < n; row++) {
      for (let column = 0; column < d; column++) values[row * d + column]! += (change.factor - 1) * f[row * config.features + change.feature]! * decoder[change.feature * d + column]!;
    }
    return tf.tensor2d(values, [n, d]);
  };
  const probabilities = tf.tidy(() => tf.softmax(model.logits(model.forward(tf.tensor1d(tokens, 'int32'), 1, tap))).arraySync() as number[][]);
  return { f: f!, probabilities };
}

function dense({ features, values, tokens }: TextRead, width: number): Float32Array {
  const out = new Float32Array(tokens.length * width);
  features.forEach((row, position) => row.forEach((feature, rank) => (out[position * width + feature] = values[position]![rank]!)));
  return out;
}

function worst(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let difference = 0;
  let largest = 0;
  for (let index = 0; index < b.length; index++) {
    difference = Math.max(difference, Math.abs(a[index]! - b[index]!));
    largest = Math.max(largest, Math.abs(b[index]!));
  }
  return largest === 0 ? difference : difference / largest;
}

const sites = { trained: () => trained, 'of real shapes': () => real };
/** Graphics in software take minutes for real shapes. */
const cases: { backend: Backend; name: keyof typeof sites }[] = [{ backend: 'wasm', name: 'trained' }, { backend: 'wasm', name: 'of real shapes' }, { backend: 'webgl', name: 'trained' }, { backend: 'webgpu', name: 'trained' }];

describe.each(cases)('$backend, a model $name', ({ backend, name }) => {
  it('gives the activations and next tokens of Node, as the model is and with a feature ablated or amplified', async () => {
    const site = sites[name]();
    const node = await inNode(site);
    const { features, architecture } = node.config;
    const text = 'Alle Menschen sind frei und gleich an Würde und Rechten geboren. '.repeat(20);
    const { tokenizer } = site;
    const tokens = [tokenizer.eot, ...tokenizer.encode(text).subarray(0, architecture.contextLength - 1)];
    const expected = reference(node, tokens);
    const position = 20;
    const here = expected.f.subarray(position * features, (position + 1) * features);
    const feature = here.indexOf(here.reduce((a, b) => Math.max(a, b)));
    const { ready, answers, loadMs } = await askWorker(site.page, backend, [
      { type: 'read', text },
      { type: 'next', position },
      { type: 'next', position, change: { feature, factor: 0 } },
      { type: 'next', position, change: { feature, factor: 5 } },
      { type: 'read', text },
    ]);
    expect(ready.backend).toBe(backend);
    const [read, plain, ablated, amplified, again] = answers as [TextRead, NextTokens, NextTokens, NextTokens, TextRead];
    expect(read.tokens).toEqual(tokens);
    const found = dense(read, features);
    const errors = { activations: worst(found, expected.f), plain: 0, ablated: 0, amplified: 0 };
    expect(expected.f.some((value) => value > 0.01)).toBe(true);
    for (const [what, next, change] of [['plain', plain, undefined], ['ablated', ablated, { feature, factor: 0 }], ['amplified', amplified, { feature, factor: 5 }]] as const) {
      const changed = change === undefined ? expected : reference(node, read.tokens, change);
      const all = [...next.likeliest, next.followed!];
      expect(next.followed!.token).toBe(read.tokens[position + 1]);
      expect(worst(all.map(({ before }) => before), all.map(({ token }) => expected.probabilities[position]![token]!))).toBeLessThan(tolerance);
      errors[what] = worst(all.map(({ after }) => after), all.map(({ token }) => changed.probabilities[position]![token]!));
      if (change !== undefined) expect(worst(all.map(({ after }) => after), all.map(({ before }) => before))).toBeGreaterThan(5 * tolerance);
    }
    console.info(JSON.stringify({ backend, name, l0: expected.f.filter((value) => value > 0).length / tokens.length, loadMs: Math.round(loadMs), firstReadMs: Math.round(read.ms), readMs: Math.round(again.ms), changedMs: Math.round(amplified.ms), errors }));
    for (const error of Object.values(errors)) expect(error).toBeLessThan(tolerance);
  }, 180_000);
});

describe('in the browser', () => {
  it('texts become the tokens of Node, whatever is in them, cut at the context', async () => {
    for (const site of [trained, real, imported]) {
      const { tokenizer } = site;
      const { answers } = await askWorker(site.page, 'wasm', hostile.map((text) => ({ type: 'read', text })));
      const { contextLength } = (await inNode(site)).config.architecture;
      for (const [index, answer] of (answers as TextRead[]).entries()) {
        const tokens = [...tokenizer.encode(hostile[index]!)];
        expect(answer.tokens).toEqual([tokenizer.eot, ...tokens.slice(0, contextLength - 1)]);
        expect(answer.leftOut).toBe(Math.max(0, tokens.length - (contextLength - 1)));
      }
    }
  });

  it('the likeliest tokens are the ten largest before and after, none of the padding', async () => {
    const node = await inNode(trained);
    const { answers } = await askWorker(trained.page, 'wasm', [{ type: 'read', text: 'All human beings' }, { type: 'next', position: 3 }]);
    const [read, next] = answers as [TextRead, NextTokens];
    const row = reference(node, read.tokens).probabilities[3]!.slice(0, trained.tokenizer.vocabSize);
    const order = [...row.keys()].sort((a, b) => row[b]! - row[a]!).slice(0, 10);
    expect(next.likeliest.map(({ token }) => token)).toEqual(order);
  });

  it('a damaged file of the model is refused by name', async () => {
    const path = join(trained.folder, 'model/sae.safetensors');
    const bytes = await readFile(path);
    const damaged = Uint8Array.from(bytes);
    damaged[bytes.length - 5]! ^= 1;
    await writeFile(path, damaged);
    const context = await browser.newContext();
    try {
      const page = await context.newPage();
      await page.goto(`${trained.server.url}#/texts`);
      await expect(askWorker(page, 'wasm', [])).rejects.toThrow(/model\/sae\.safetensors is damaged: SHA-256/);
    } finally {
      await writeFile(path, bytes);
      await context.close();
    }
  });
});
