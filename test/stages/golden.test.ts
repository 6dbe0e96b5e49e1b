// What may change only together with a stage's version number (schemas/stages.ts): hashes of everything in a stage's
// output that is the same on every machine. Float arithmetic is not, so trained weights have no place here.
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openStore } from '../../data/artifactStore.ts';
import { resolveCorpusFiles } from '../../data/corpusFiles.ts';
import { featurePageOf } from '../../data/featurePages.ts';
import { corpusPath } from '../../data/plans.ts';
import { PromptPlan } from '../../data/promptPlan.ts';
import { initialSae } from '../../model/sae.ts';
import { drawByLoss } from '../../model/resampling.ts';
import { initialParameters } from '../../model/transformer.ts';
import { resolveInput } from '../../presets/resolve.ts';
import { RandomStream } from '../../schemas/random.ts';
import { stageVersions } from '../../schemas/stages.ts';
import { runStage } from '../../stages/inProcess.ts';

const config = resolveInput('tiny');
const sha256 = (...parts: (ArrayBufferView | string)[]) => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(typeof part === 'string' ? part : Buffer.from(part.buffer, part.byteOffset, part.byteLength));
  return hash.digest('hex').slice(0, 16);
};
const weights = (arrays: object) => sha256(...Object.entries(arrays as Record<string, Float32Array>).flat());

let folder: string;
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'saeflow-golden-'))));
afterAll(() => rm(folder, { recursive: true, force: true }));

/** [stage, its version, hash]: a new hash needs a new version in the same change. */
const golden = {
  tokenize: [1, '2faef6136bc2aaae'],
  trainTransformer: [3, '1804ed2d40a9a332'],
  sampleActivations: [3, '689f5deaa973d49f'],
  trainSae: [4, '85d30a35bd8d91bf'],
  exportDashboard: [2, '88852dae9f49b8e9'],
} as const;

const outputs: Record<keyof typeof golden, () => Promise<string>> = {
  async tokenize() {
    const lines = Array.from({ length: 40 }, (_, index) => JSON.stringify({ text: `Satz ${index}: Größe, 日本語 и слова. `.repeat(1 + (index % 5)), lang: index % 2 === 0 ? 'de' : 'ja', source: 'golden' }));
    await writeFile(join(folder, 'corpus.jsonl'), `${lines.join('\n')}\n`);
    const store = openStore(join(folder, 'store'));
    const corpus = 'a'.repeat(64);
    await store.put(corpusPath(corpus), Buffer.from(JSON.stringify(await resolveCorpusFiles([join(folder, 'corpus.jsonl')], folder))));
    const { artifact } = await runStage(store, { stage: 'tokenize', config: { corpus: config.corpus, tokenize: { ...config.tokenize, shardBytes: 2_000 } }, inputs: { corpus } });
    return artifact.contentSha256.slice(0, 16);
  },
  async trainTransformer() {
    const stream = new RandomStream(1, 'trainTransformer', 'batch', 7);
    return sha256(weights(Object.fromEntries(Object.entries(initialParameters(config.transformer.architecture, 512, 1)).map(([name, { data }]) => [name, data]))), String([stream.integer(1_000), stream.integer(1_000)]));
  },
  async sampleActivations() {
    const plan = new PromptPlan({ ...config.activations, prompts: 20 }, 1, 32, 10_000);
    const prompts = Array.from({ length: 20 }, (_, prompt) => [plan.offset(prompt), ...plan.positions(prompt)]);
    return sha256(JSON.stringify(prompts), plan.rowOrder(0, 50));
  },
  async trainSae() {
    const stream = new RandomStream(1, 'trainSae', 'resampling', 20);
    return sha256(weights(initialSae(16, 32, 1)), String(drawByLoss(Float32Array.from([1, 2, 3, 4]), [stream.uniform(), stream.uniform()])));
  },
  async exportDashboard() {
    const document = { id: 'a', split: 'heldOut', start: 0, length: 640, lang: 'de', source: 'golden', file: 'corpus.jsonl', line: 1 } as const;
    const text = { tokens: Int32Array.from({ length: 640 }, (_, token) => token % 50), contextLength: 32, documents: [document] };
    const tokens = Int32Array.from({ length: 200 }, (_, index) => 3 * index);
    return sha256(JSON.stringify(featurePageOf(5, { tokens, values: Float32Array.from(tokens, (token) => 0.5 + (token % 11)) }, text, config.dashboard)));
  },
};

it.each(Object.keys(golden) as (keyof typeof golden)[])('%s makes what its version says', async (stage) => {
  const [version, hash] = golden[stage];
  const made = await outputs[stage]();
  expect(stageVersions[stage], 'a new version needs a new golden hash').toBe(version);
  expect(made, `raise stageVersions.${stage} in schemas/stages.ts when its output changes, then put the new hash here`).toBe(hash);
});
