// A site with a real model in it: a transformer and an SAE trained at the shapes of the tiny preset, written by the
// writeTexts job. The index is put together from what fires on the example texts.
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { artifactPath, specKey, writeSpec } from '../../data/artifact.ts';
import { packIndex } from '../../data/packedIndex.ts';
import { createTokenizer } from '../../data/tokenizer.ts';
import { buildPage } from '../../dashboard/buildPage.ts';
import { featureIndex, textList, textPage, vocabulary, type TextList, type TextPage } from '../../schemas/dashboard.ts';
import type { Receipt } from '../../schemas/artifact.ts';
import type { SpecOf } from '../../schemas/stages.ts';
import { runStage } from '../../stages/inProcess.ts';
import { runJob } from '../../stages/jobs.ts';
import { TinyInputs } from '../stages/tinyInputs.ts';

export interface OwnSite {
  inputs: TinyInputs;
  /** Key of the SAE. */
  sae: string;
  receipt: Receipt;
  list: TextList;
  pages: TextPage[];
}

/** Trains, exports and writes page and data into `folder`. */
export async function writeOwnSite(folder: string): Promise<OwnSite> {
  const inputs = await TinyInputs.make();
  const { store, keys, config } = inputs;
  const sae = (await runStage(store, inputs.sae({}))).artifact.key;
  const spec: SpecOf<'exportDashboard'> = { stage: 'exportDashboard', config: { dashboard: config.dashboard }, inputs: { ...keys, trainSae: sae } };
  const artifact = { stage: spec.stage, key: specKey(spec) };
  await writeSpec(store, artifact, spec);
  const receipt = (await runJob({ kind: 'writeTexts', artifact, storeUri: store.uri, shard: 7 }, { store, device: 'cpu', report: () => undefined, shouldStop: () => false })) as Receipt;
  const files = new Map<string, Uint8Array>();
  for (const { path } of receipt.files) files.set(path.replace(/^site\//, ''), await store.get(artifactPath(artifact, path)));
  const json = (path: string): unknown => JSON.parse(Buffer.from(files.get(path)!).toString());
  const list = textList.parse(json('data/texts/index.json'));
  const pages = list.map(({ file }) => textPage.parse(json(`data/texts/${file}`)));
  const tokenizer = createTokenizer(config.tokenize.vocabSize);
  const words = { eot: tokenizer.eot, tokens: Array.from({ length: tokenizer.vocabSize }, (_, token) => Buffer.from(tokenizer.tokenBytes(token)).toString('latin1')) };
  files.set('data/vocabulary.json', Buffer.from(JSON.stringify(vocabulary.parse(words))));
  for (const { path, bytes } of packIndex(indexOf(config.saes[0]!.features, pages))) files.set(path.replace(/^site\//, ''), Buffer.from(bytes));
  for (const { path, bytes } of await buildPage()) files.set(path, bytes);
  for (const [path, bytes] of files) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), bytes);
  }
  return { inputs, sae, receipt, list, pages };
}

function indexOf(features: number, pages: readonly TextPage[]) {
  const column = <Value>(value: (feature: number) => Value) => Array.from({ length: features }, (_, feature) => value(feature));
  const strongest = new Map<number, { value: number; token: number; count: number }>();
  for (const page of pages) {
    page.features.forEach((row, position) => {
      row.forEach((feature, rank) => {
        const value = page.values[position]![rank]!;
        const known = strongest.get(feature) ?? { value: 0, token: -1, count: 0 };
        strongest.set(feature, { ...(value > known.value ? { value, token: page.tokens[position]! } : known), count: known.count + 1 });
      });
    });
  }
  const tokens = pages.reduce((sum, page) => sum + page.tokens.length, 0);
  return featureIndex.parse({
    features,
    density: column((feature) => (strongest.get(feature)?.count ?? 0) / tokens),
    maxActivation: column((feature) => strongest.get(feature)?.value ?? 0),
    topToken: column((feature) => strongest.get(feature)?.token ?? -1),
    topLang: column((feature) => (strongest.has(feature) ? 'en' : '')),
    topLangShare: column((feature) => (strongest.has(feature) ? 1 : 0)),
    topExamples: column((feature) => Math.min(20, strongest.get(feature)?.count ?? 0)),
    ablation: column(() => 0),
    lossShare: column(() => 0),
    probe: column(() => -1),
    probeF1: column(() => 0),
  });
}
