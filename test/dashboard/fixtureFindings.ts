// What is found about the fixture's features: answers to probes, scored on its documents as exportDashboard scores them, a
// map and a few automatic labels.
import type { FeatureIndex, FeatureLabels, FeatureMap, ProbesPage, RunPage } from '../../schemas/dashboard.ts';
import type { Report } from '../../schemas/report.ts';
import { bell } from './fixtureNumbers.ts';
import type { FixtureDocument } from './fixtureSite.ts';

type Activation = (feature: number, document: FixtureDocument, position: number) => number;

const probes = [
  { name: 'German', description: 'tokens of German documents', lang: 'de' },
  { name: 'Japanese', description: 'tokens of Japanese documents', lang: 'ja' },
  { name: 'Hebrew', description: 'tokens of Hebrew documents', lang: 'he' },
  { name: '<b>markup</b>', description: 'tokens of pages & scripts', lang: 'html' },
  { name: 'LaTeX', description: 'formulas, of which these texts have none', lang: 'latex' },
];
const answersShown = 3;

/** Each probe's best features: chosen on even documents, judged on odd ones. */
export function fixtureProbes(features: number, documents: readonly FixtureDocument[], activation: Activation): ProbesPage {
  const halves = [0, 1].map((half) => documents.filter((_, number) => number % 2 === half));
  const values = halves.map((half) => Array.from({ length: features }, (_, feature) => half.flatMap((document) => document.tokens.map((_, position) => activation(feature, document, position)))));
  return probes.map(({ name, description, lang }) => {
    const truths = halves.map((half) => half.flatMap((document) => document.tokens.map(() => document.lang === lang)));
    const [chosenOn, judgedOn] = truths.map((truth) => truth.filter(Boolean).length) as [number, number];
    const order = Array.from({ length: features }, (_, feature) => ({ feature, f1: scores(values[0]![feature]!, truths[0]!).f1 })).sort((a, b) => b.f1 - a.f1 || a.feature - b.feature);
    const answers = order.filter(({ f1 }) => f1 > 0).slice(0, answersShown).map(({ feature }) => ({ feature, threshold: 0, ...scores(values[1]![feature]!, truths[1]!) }));
    return { name, description, support: { chosenOn, judgedOn }, enough: judgedOn >= 50, answers };
  });
}

function scores(activations: readonly number[], truth: readonly boolean[]) {
  const order = activations.map((value, token) => ({ value, yes: truth[token] === true })).sort((a, b) => b.value - a.value);
  const fired = order.filter(({ value }) => value > 0);
  const hits = fired.filter(({ yes }) => yes).length;
  const positives = order.filter(({ yes }) => yes).length;
  const precision = fired.length === 0 ? 0 : hits / fired.length;
  const recall = positives === 0 ? 0 : hits / positives;
  const falseRate = (fired.length - hits) / Math.max(order.length - positives, 1);
  const top = order.slice(0, 20);
  // One threshold gives a curve of two straight pieces.
  return { f1: hits === 0 ? 0 : (2 * precision * recall) / (precision + recall), precision, recall, auroc: (1 + recall - falseRate) / 2, precisionTop20: top.filter(({ value, yes }) => yes && value > 0).length / top.length };
}

const mostMapped = 16_384;

/** Features of a language around a place of its own. */
export function fixtureMap({ features, density, topLang }: FeatureIndex): FeatureMap {
  const languages = [...new Set(topLang)].filter((lang) => lang !== '').sort();
  const mapped = Array.from({ length: features }, (_, feature) => feature).filter((feature) => density[feature]! > 0).slice(0, mostMapped);
  const angle = (feature: number): number => (2 * Math.PI * languages.indexOf(topLang[feature]!)) / languages.length;
  const near = (feature: number): boolean => Math.abs(bell(feature * 3)) < 0.9;
  return {
    features: mapped,
    x: mapped.map((feature) => 8 * Math.cos(angle(feature)) + 2 * bell(feature * 3)),
    y: mapped.map((feature) => 8 * Math.sin(angle(feature)) + 2 * bell(feature * 3 + 1)),
    cluster: mapped.map((feature) => (near(feature) ? languages.indexOf(topLang[feature]!) : -1)),
  };
}

/** The report that publishing a run puts beside its page. */
export function fixtureReport({ hook, features, tokens, transformer, sae, lineage }: RunPage): Report {
  const saeReport = { ...sae, name: 'sae', hook, features, tokens, pureFeatures: {}, resamplings: [], divergences: [], probes: [] };
  const stages = lineage.map(({ stage, key }, position) => ({ name: stage as Report['stages'][number]['name'], key, cached: position === 0, seconds: 40 * (position + 1) ** 3, device: 'cpu', bytes: 3_200_000 * (position + 1), shards: 0, skippedShards: [] }));
  return {
    run: 'fixture',
    configHash: '5e'.repeat(32),
    stages,
    tokens: { train: 100 * tokens, heldOut: tokens },
    transformer: { ...transformer, divergences: [] },
    sae: saeReport,
    saes: [saeReport],
    coverage: { once: tokens, moreThanOnce: 0, never: 0 },
    dashboards: [{ sae: 'sae', site: 'site' }],
  };
}

export const fixtureLabels: FeatureLabels = {
  model: 'a-language-model',
  labels: [
    { feature: 0, text: 'German prose, above all articles of law', spearman: 0.71, detection: 0.94 },
    { feature: 7, text: 'words <i>in</i> italics & "quotes"', spearman: null, detection: null },
  ],
};
