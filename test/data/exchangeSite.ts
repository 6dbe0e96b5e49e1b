// A dashboard's data in a store, small and with awkward tokens, for what is made from a finished dashboard: exchange files,
// labels, a published site. Its parts agree, and every file goes through the contract.
import type { ArtifactStore } from '../../data/artifactStore.ts';
import { reportPath } from '../../data/report.ts';
import { featureChunk, featureIndex, featureLabels, featuresPerChunk, runPage, textList, textPage, vocabulary, type Example, type FeaturePage } from '../../schemas/dashboard.ts';
import { report, type Report } from '../../schemas/report.ts';

export const dashboardKey = 'd'.repeat(64);
export const sitePath = `exportDashboard/${dashboardKey}/site`;
export const features = 10;
export const deadFeature = 9;
/** Token 1 is half a character, 2 NUL, 3 markup, 4 a newline. */
export const words = ['<|endoftext|>', '\xE3\x81', '\0', '</script>', '\n', ' the', ' cat', ' sat', ' on', ' mat', ' \xD0\xB4\xD0\xB0', ' x'];
const firingToken = (feature: number) => 3 + (feature % 9);

/** A text of twelve tokens in which the feature fires on its own token, `strength` strong. */
function exampleOf(feature: number, number: number, strength: number): Example {
  const tokens = Array.from({ length: 12 }, (_, place) => (place === 6 ? firingToken(feature) : (number * 5 + place * 7 + feature) % words.length));
  const activations = tokens.map((token, place) => (place === 6 ? strength : token === firingToken(feature) ? strength / 4 : 0));
  const effects = tokens.map((_, place) => (place > 0 && activations[place - 1]! > 0 ? (place % 2 === 0 ? 0.25 : -0.125) : 0));
  return { value: strength, centre: 6, tokens, activations, effects, document: { id: `doc-${number}`, lang: 'en', source: 'fixture', file: 'corpus.jsonl', line: number + 1, offset: 6 } };
}

export function featureOf(feature: number): FeaturePage {
  const dead = feature === deadFeature;
  const maxActivation = dead ? 0 : 8;
  const top = dead ? [] : Array.from({ length: 8 }, (_, number) => exampleOf(feature, number, 8 - number / 2));
  const intervals = dead ? [] : Array.from({ length: 4 }, (_, step) => ({ low: 6 - 2 * step, high: 8 - 2 * step, count: 10 * (step + 1), examples: [exampleOf(feature, 20 + step, 7 - 2 * step)] }));
  return {
    feature,
    density: dead ? 0 : 0.125,
    count: dead ? 0 : 100,
    maxActivation,
    meanActivation: dead ? 0 : 2,
    histogram: dead ? [0, 0, 0, 0] : [40, 30, 20, 10],
    logits: { top: [{ token: 3, value: 2.5 }, { token: 1, value: 2 }], bottom: [{ token: 2, value: -1.5 }], histogram: { low: -2, high: 3, counts: [1, 2, 3, 4, 2] } },
    languages: dead ? [] : [{ lang: 'en', share: 1 }],
    top,
    intervals,
    nearest: [{ feature: (feature + 1) % features, cosine: 0.5 }],
    ablation: { mean: dead ? 0 : 0.1, meanMagnitude: dead ? 0 : 0.2, helped: dead ? 0 : 0.75 },
    neurons: [{ neuron: 5, weight: -0.5, share: 0.25 }],
    correlatedNeurons: dead ? [] : [{ neuron: 5, pearson: 0.75 }],
    correlatedFeatures: dead ? [] : [{ feature: (feature + 2) % features, pearson: 0.5 }],
  };
}

/** Writes data, a page and the run's report. */
export async function putSite(store: ArtifactStore): Promise<Report> {
  const pages = Array.from({ length: features }, (_, feature) => featureOf(feature));
  const metrics = { l0: 2, l1: 3, mse: 0.1, fvu: 0.2, lossRecovered: 0.9, losses: { clean: 4, reconstructed: 4.1, zero: 5, mean: 4.9 }, alive: 9, dead: 1, ultraLow: 0 };
  const architecture = { nLayer: 2, nHead: 1, dModel: 16, dMlp: 64, contextLength: 32, bias: false, activation: 'gelu' };
  const data: Record<string, unknown> = {
    'index.json': featureIndex.parse({
      features, density: pages.map(({ density }) => density), maxActivation: pages.map(({ maxActivation }) => maxActivation), topToken: pages.map(({ top }) => top[0]?.tokens[6] ?? -1),
      topLang: pages.map(({ top }) => (top.length === 0 ? '' : 'en')), topLangShare: pages.map(({ top }) => (top.length === 0 ? 0 : 1)), topExamples: pages.map(({ top }) => top.length),
      ablation: pages.map(({ ablation }) => ablation.meanMagnitude), lossShare: pages.map(() => 0.1), probe: pages.map(() => -1), probeF1: pages.map(() => 0),
    }),
    'vocabulary.json': vocabulary.parse({ eot: 0, tokens: words }),
    'run.json': runPage.parse({
      hook: 'blocks.1.mlp.hook_post', dIn: 64, features, tokens: 1_000, transformer: { valLoss: 4, unigramLoss: 6, parameters: 1_000 }, sae: metrics, resamplings: [], curves: { transformer: [], sae: [] },
      lineage: [{ stage: 'trainTransformer', key: 'a'.repeat(64), config: { seed: 1, architecture } }],
    }),
    'labels.json': featureLabels.parse({ model: '', labels: [] }),
    'texts/index.json': textList.parse([{ file: '00000.json', title: 'text', lang: 'en', source: 'fixture', tokens: 60 }]),
    'texts/00000.json': textPage.parse({ tokens: Array.from({ length: 60 }, (_, place) => place % 3), features: Array.from({ length: 60 }, () => []), values: Array.from({ length: 60 }, () => []) }),
  };
  for (let first = 0; first < features; first += featuresPerChunk) data[`features/${String(first / featuresPerChunk).padStart(5, '0')}.json`] = featureChunk.parse(pages.slice(first, first + featuresPerChunk));
  for (const [name, value] of Object.entries(data)) await store.put(`${sitePath}/data/${name}`, Buffer.from(JSON.stringify(value)));
  await store.put(`${sitePath}/index.html`, Buffer.from('<!doctype html><title>features</title><script src="app.js"></script>'));
  await store.put(`${sitePath}/app.js`, Buffer.from("fetch('data/run.json').then((r) => r.json()).then(({ features }) => (document.title = `${features} features`));"));
  const sae = { ...metrics, name: 'sae', hook: 'blocks.1.mlp.hook_post', features, tokens: 1_000, pureFeatures: {}, resamplings: [], divergences: [] };
  const made = report.parse({
    run: 'fixture', configHash: 'c'.repeat(64), finishedAt: '2026-11-28T12:00:00.000Z', stages: [], tokens: { train: 10_000, heldOut: 1_000 }, transformer: { valLoss: 4, unigramLoss: 6, parameters: 1_000, divergences: [] },
    sae, saes: [sae], coverage: { once: 1, moreThanOnce: 0, never: 0 }, dashboards: [{ sae: 'sae', site: sitePath }],
  });
  await store.put(reportPath(made.run, made.configHash), Buffer.from(JSON.stringify(made)));
  return made;
}
