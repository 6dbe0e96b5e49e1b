// Writes a dashboard site as exportDashboard would, computed from a few real texts with GPT-2's own tokens, so that the
// page is tried on data whose parts agree. Every file is validated against the contract before it is written.
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { get_encoding } from 'tiktoken';
import { buildPage } from '../../dashboard/buildPage.ts';
import { packIndex } from '../../data/packedIndex.ts';
import { featureChunk, featureIndex, featureLabels, featureMap, featurePage, featuresPerChunk, probesPage, runPage, vocabulary, type FeatureIndex, type FeaturePage, type ProbesPage, type RunPage, type Vocabulary } from '../../schemas/dashboard.ts';
import { report } from '../../schemas/report.ts';
import { fixtureLabels, fixtureMap, fixtureProbes, fixtureReport } from './fixtureFindings.ts';
import { bell, fraction } from './fixtureNumbers.ts';
import { fixtureTexts } from './fixtureTexts.ts';

export interface FixtureSite {
  index: FeatureIndex;
  pages: FeaturePage[];
  run: RunPage;
  vocabulary: Vocabulary;
  probes: ProbesPage;
}

/** Features with a fixed meaning; all others fire on a few tokens of their own. */
export const germanFeature = 0;
export const japaneseFeature = 1;
export const markupFeature = 2;
export const deadFeature = 3;
export const ultraLowFeature = 4;
export const hebrewFeature = 5;
const namedLanguages: Record<number, string> = { [germanFeature]: 'de', [japaneseFeature]: 'ja', [markupFeature]: 'html', [hebrewFeature]: 'he' };

const contextBefore = 24;
const contextAfter = 8;
const documentsPerLanguage = 14;

export interface FixtureDocument {
  id: string;
  lang: string;
  source: string;
  tokens: number[];
}

interface Firing {
  document: FixtureDocument;
  line: number;
  position: number;
  value: number;
}

/**
 * Writes page and data into `folder`.
 *
 * @param features all in the index; only the first 64 get pages.
 */
export async function writeFixtureSite(folder: string, features = 64): Promise<FixtureSite> {
  const { documents, words } = tokenizedDocuments(features > 64);
  const tokenCount = documents.reduce((sum, document) => sum + document.tokens.length, 0);
  const pages = Array.from({ length: Math.min(features, 64) }, (_, feature) => page(feature, Math.min(features, 64), documents, tokenCount, words.tokens.length));
  const probes = probesPage.parse(fixtureProbes(pages.length, documents, activation));
  const columns = featureIndex.parse(index(features, pages, words.tokens.length, probes));
  const site: FixtureSite = { pages, vocabulary: vocabulary.parse(words), index: columns, run: runPage.parse(run(columns, tokenCount)), probes };
  const data: Record<string, unknown> = {
    'index.json': site.index,
    'vocabulary.json': site.vocabulary,
    'run.json': site.run,
    'probes.json': probes,
    'map.json': featureMap.parse(fixtureMap(columns)),
    'labels.json': featureLabels.parse(fixtureLabels),
  };
  for (let first = 0; first < pages.length; first += featuresPerChunk) {
    data[`features/${String(first / featuresPerChunk).padStart(5, '0')}.json`] = featureChunk.parse(pages.slice(first, first + featuresPerChunk));
  }
  for (const [name, value] of Object.entries(data)) await write(join(folder, 'data', name), JSON.stringify(value));
  await write(join(folder, 'report.json'), JSON.stringify(report.parse(fixtureReport(site.run))));
  for (const { path, bytes } of packIndex(columns)) await write(join(folder, path.replace(/^site\//, '')), bytes);
  for (const { path, bytes } of await buildPage()) await write(join(folder, path), bytes);
  return site;
}

async function write(path: string, content: string | Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
}

/** The texts in GPT-2 tokens, renumbered 0, 1, 2 … so that the vocabulary is small; with `all`, all the others come after. */
function tokenizedDocuments(all: boolean): { documents: FixtureDocument[]; words: Vocabulary } {
  const encoding = get_encoding('gpt2');
  const numbers = new Map<number, number>();
  const words: Vocabulary = { eot: 0, tokens: ['<|endoftext|>'] };
  const numberOf = (id: number): number => {
    const known = numbers.get(id);
    if (known !== undefined) return known;
    numbers.set(id, words.tokens.length);
    words.tokens.push(String.fromCharCode(...encoding.decode_single_token_bytes(id)));
    return words.tokens.length - 1;
  };
  const documents = fixtureTexts.flatMap(({ lang, source, sentences }) =>
    Array.from({ length: documentsPerLanguage }, (_, number) => {
      const rotated = [...sentences.slice(number % sentences.length), ...sentences.slice(0, number % sentences.length)];
      return { id: `${lang}-${number}`, lang, source, tokens: [...Array.from(encoding.encode(rotated.join(''), [], []), numberOf), words.eot] };
    }),
  );
  if (all) for (let id = 0; id < 50_256; id++) numberOf(id);
  encoding.free();
  return { documents, words };
}

function page(feature: number, features: number, documents: readonly FixtureDocument[], tokenCount: number, vocabularySize: number): FeaturePage {
  const firings = documents.flatMap((document, line) =>
    document.tokens.map((_, position) => ({ document, line, position, value: activation(feature, document, position) })).filter(({ value }) => value > 0),
  );
  firings.sort((a, b) => b.value - a.value);
  const maxActivation = firings[0]?.value ?? 0;
  const bins = 40;
  const histogram = new Array<number>(bins).fill(0);
  for (const { value } of firings) {
    const bin = Math.min(Math.floor((value / maxActivation) * bins), bins - 1);
    histogram[bin] = (histogram[bin] ?? 0) + 1;
  }
  const intervals = firings.length === 0 ? [] : Array.from({ length: 11 }, (_, step) => interval(feature, firings, (maxActivation * (10 - step)) / 11, (maxActivation * (11 - step)) / 11));
  return featurePage.parse({
    feature,
    density: feature === ultraLowFeature ? 4e-7 : firings.length / tokenCount,
    count: firings.length,
    maxActivation,
    meanActivation: firings.reduce((sum, { value }) => sum + value, 0) / Math.max(firings.length, 1),
    histogram,
    logits: logits(feature, vocabularySize),
    languages: languageShares(firings),
    top: firings.slice(0, 20).map((firing) => exampleOf(feature, firing)),
    intervals,
    nearest: Array.from({ length: 5 }, (_, step) => ({ feature: (feature + 7 * (step + 1)) % features, cosine: 0.62 / (step + 1) })),
    ablation: ablationOf(feature, firings),
    neurons: Array.from({ length: 5 }, (_, step) => ({ neuron: (feature * 37 + step * 101) % 512, weight: (step % 2 === 0 ? 0.4 : -0.3) / (step + 1), share: 0.09 / (step + 1) })),
    correlatedNeurons: Array.from({ length: 5 }, (_, step) => ({ neuron: (feature * 37 + step * 53) % 512, pearson: 0.71 / (step + 1) })),
    correlatedFeatures: firings.length === 0 ? [] : Array.from({ length: 5 }, (_, step) => ({ feature: (feature + 5 * (step + 1)) % features, pearson: 0.55 / (step + 1) })),
  });
}

/** Effect of the feature on the prediction of the token after the one at `position`: it mostly helps. */
function effectAfter(feature: number, document: FixtureDocument, position: number): number {
  return activation(feature, document, position) * 0.2 * (bell(feature * 7 + (document.tokens[position] ?? 0) * 13 + position) + 0.4);
}

function ablationOf(feature: number, firings: readonly Firing[]): FeaturePage['ablation'] {
  const effects = firings.map(({ document, position }) => effectAfter(feature, document, position));
  const meanOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / Math.max(values.length, 1);
  return { mean: meanOf(effects), meanMagnitude: meanOf(effects.map(Math.abs)), helped: meanOf(effects.map((effect) => (effect > 0 ? 1 : 0))) };
}

function interval(feature: number, firings: readonly Firing[], low: number, high: number): FeaturePage['intervals'][number] {
  const inside = firings.filter(({ value }) => value > low && value <= high);
  const stride = Math.max(Math.floor(inside.length / 5), 1);
  const chosen = inside.filter((_, position) => position % stride === 0).slice(0, 5);
  return { low, high, count: inside.length, examples: chosen.map((firing) => exampleOf(feature, firing)) };
}

function exampleOf(feature: number, { document, line, position, value }: Firing): FeaturePage['top'][number] {
  const from = Math.max(position - contextBefore, 0);
  const tokens = document.tokens.slice(from, position + contextAfter + 1);
  return {
    value,
    centre: position - from,
    tokens,
    activations: tokens.map((_, offset) => activation(feature, document, from + offset)),
    effects: tokens.map((_, offset) => (from + offset === 0 ? 0 : effectAfter(feature, document, from + offset - 1))),
    document: { id: document.id, lang: document.lang, source: document.source, file: 'corpus.jsonl', line: line + 1, offset: position },
  };
}

/** A feature's activation: on most tokens of its language, or on a few tokens of its own. */
function activation(feature: number, document: FixtureDocument, position: number): number {
  const token = document.tokens[position] ?? 0;
  if (feature === deadFeature) return 0;
  if (feature === ultraLowFeature) return document.id === 'fr-3' && position === 5 ? 0.8 : 0;
  const lang = namedLanguages[feature];
  const noise = fraction(feature * 7919 + token * 104729 + position * 31);
  if (lang !== undefined) return document.lang === lang ? Math.max(noise * noise * 4.2 - 0.3, 0) : document.lang === 'fr' && noise > 0.97 ? 0.4 : 0;
  return token > 0 && fraction(feature * 65537 + token * 257) < 0.012 ? 0.3 + 3 * noise ** 3 : 0;
}

function logits(feature: number, vocabularySize: number): FeaturePage['logits'] {
  const values = Array.from({ length: vocabularySize }, (_, token) => ({ token, value: bell(feature * 131 + token * 17) * 0.6 }));
  values.sort((a, b) => b.value - a.value);
  const [low, high] = [values.at(-1)?.value ?? 0, values[0]?.value ?? 0];
  const counts = new Array<number>(60).fill(0);
  for (const { value } of values) {
    const bin = Math.min(Math.floor(((value - low) / (high - low)) * counts.length), counts.length - 1);
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  return { top: values.slice(0, 10), bottom: values.slice(-10).reverse(), histogram: { low, high, counts } };
}

function languageShares(firings: readonly Firing[]): FeaturePage['languages'] {
  const mass = new Map<string, number>();
  for (const { document, value } of firings) mass.set(document.lang, (mass.get(document.lang) ?? 0) + value);
  const total = [...mass.values()].reduce((sum, value) => sum + value, 0);
  return [...mass].map(([lang, value]) => ({ lang, share: value / total })).sort((a, b) => b.share - a.share);
}

/** The index of the pages, and invented rows for features beyond them. */
function index(features: number, pages: readonly FeaturePage[], tokens: number, probes: ProbesPage): FeatureIndex {
  const rows = Array.from({ length: features }, (_, feature) => {
    const known = pages[feature];
    if (known === undefined) {
      const [draw, other] = [fraction(feature * 3 + 1), fraction(feature * 5 + 2)];
      return draw < 0.05
        ? { density: 0, max: 0, token: -1, lang: '', share: 0, examples: 0, ablation: 0 }
        : { density: 10 ** (bell(feature) * 0.9 - 4), max: 1 + 5 * other, token: 1 + (feature % (tokens - 1)), lang: fixtureTexts[feature % fixtureTexts.length]?.lang ?? '', share: 0.3 + 0.7 * draw, examples: 20, ablation: 0.2 * other };
    }
    const top = known.top[0];
    const lang = top?.document.lang ?? '';
    const share = known.top.filter(({ document }) => document.lang === lang).length / Math.max(known.top.length, 1);
    return { density: known.density, max: known.maxActivation, token: top?.tokens[top.centre] ?? -1, lang, share, examples: known.top.length, ablation: known.ablation.meanMagnitude };
  });
  const best = rows.map((_, feature) => {
    const scores = probes.map(({ answers }) => answers.find((answer) => answer.feature === feature)?.f1 ?? 0);
    const f1 = Math.max(...scores);
    return f1 > 0 ? { probe: scores.indexOf(f1), f1 } : { probe: -1, f1: 0 };
  });
  const loss = rows.map(({ density, ablation }, feature) => density * ablation * (bell(feature) + 0.4));
  const lossTotal = loss.reduce((sum, value) => sum + Math.abs(value), 0);
  return {
    features,
    density: rows.map(({ density }) => density),
    maxActivation: rows.map(({ max }) => max),
    topToken: rows.map(({ token }) => token),
    topLang: rows.map(({ lang }) => lang),
    topLangShare: rows.map(({ share }) => share),
    topExamples: rows.map(({ examples }) => examples),
    ablation: rows.map(({ ablation }) => ablation),
    lossShare: loss.map((value) => value / lossTotal),
    probe: best.map(({ probe }) => probe),
    probeF1: best.map(({ f1 }) => f1),
  };
}

function run({ features, density }: FeatureIndex, tokens: number): RunPage {
  const dead = density.filter((value) => value === 0).length;
  const steps = Array.from({ length: 200 }, (_, step) => step * 25);
  const decay = (from: number, to: number, noise: number): number[] => steps.map((step) => to + (from - to) * Math.exp(-step / 900) + noise * (fraction(step) - 0.5));
  return {
    hook: 'blocks.0.mlp.hook_post',
    dIn: 512,
    features,
    tokens,
    transformer: { valLoss: 4.2412, unigramLoss: 6.0631, parameters: 1_245_184 },
    sae: {
      l0: 15.83,
      l1: 21.4,
      mse: 0.0123,
      fvu: 0.0871,
      lossRecovered: 0.9834,
      losses: { clean: 4.2412, reconstructed: 4.2575, zero: 5.2214, mean: 6.1102 },
      alive: features - dead - 1,
      dead,
      ultraLow: 1,
    },
    resamplings: [
      { step: 1_250, dead: 27, resampled: 27 },
      { step: 2_500, dead: 4, resampled: 4 },
    ],
    curves: {
      transformer: [
        { name: 'trainLoss', unit: 'nats per token', steps, values: decay(9, 4.2, 0.2) },
        { name: 'learningRate', unit: '', steps, values: decay(3e-3, 1e-4, 0) },
      ],
      sae: [
        { name: 'loss', unit: '', steps, values: decay(0.4, 0.05, 0.01) },
        { name: 'l0', unit: 'features', steps, values: decay(300, 16, 3) },
        { name: 'dead', unit: 'features', steps: [1_250, 2_500, 3_750], values: [27, 4, 0] },
      ],
    },
    lineage: [
      { stage: 'tokenize', key: '3f'.repeat(32), config: { tokenizer: 'gpt2', vocabSize: 8192, note: '<b>not markup</b>' } },
      { stage: 'trainTransformer', key: 'a7'.repeat(32), config: { architecture: { nLayer: 1, dModel: 128 }, training: { steps: 5000 } } },
      { stage: 'trainSae', key: '0c'.repeat(32), config: { features, hook: 'blocks.0.mlp.hook_post', l1Coefficient: 0.001 } },
    ],
  };
}
