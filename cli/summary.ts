// A finished run in some twenty lines: what each stage cost, and the numbers that say whether it went well.
import type { SaeComparison } from '../schemas/comparison.ts';
import type { Report } from '../schemas/report.ts';
import { alignTable, formatBytes, formatCount, formatDuration, formatNumber } from '../schemas/format.ts';

type SaeReport = Report['sae'];

/** Lines for a person; `saeflow report --json` has everything. */
export function summarize(report: Report): string[] {
  const { transformer, tokens, coverage, sampling } = report;
  return [
    `run ${report.run}  (${report.configHash.slice(0, 12)})`,
    '',
    ...alignTable([['stage', 'result', 'computing', 'size', 'device'], ...report.stages.map(({ name, cached, seconds, bytes, device }) => [name, cached ? 'found in the store' : 'made', formatDuration(seconds), formatBytes(bytes), device])], [2, 3]),
    '',
    `tokens       ${formatCount(tokens.train)} for training, ${formatCount(tokens.heldOut)} held out`,
    `transformer  validation loss ${formatNumber(transformer.valLoss)} (unigram ${formatNumber(transformer.unigramLoss)}), ${formatCount(transformer.parameters)} parameters${describeDivergences(transformer.divergences)}`,
    `activations  ${formatCount(coverage.once)} positions read once, ${formatCount(coverage.moreThanOnce)} more often, ${formatCount(coverage.never)} never`,
    ...(sampling === undefined ? [] : [`             computed at ${formatCount(sampling.vectors)} of ${formatCount(sampling.positions)} positions: ${(100 * sampling.flopsAvoided).toFixed(1)} % of a forward pass avoided; largest number ${formatNumber(sampling.largest)}${sampling.overflows === 0 ? '' : `, ${formatCount(sampling.overflows)} were beyond float16 and cut`}`]),
    ...report.stages.flatMap(describeSkipped),
    ...report.saes.flatMap(summarizeSae),
    ...(report.changes === undefined ? [] : ['', ...summarizeChanges(report.changes)]),
  ];
}

/** What a run changed against the one before it, a block a compared SAE. */
export function summarizeChanges({ summary, saes }: NonNullable<Report['changes']>): string[] {
  return [summary, ...saes.flatMap(({ name, comparison, note }) => [...(comparison === null ? [] : comparisonLines(name, comparison)), ...(note === '' ? [] : [`  SAE ${name}: ${note}`])])];
}

function describeSkipped({ name, shards, skippedShards }: Report['stages'][number]): string[] {
  if (skippedShards.length === 0) return [];
  const listed = `${skippedShards.slice(0, 20).join(', ')}${skippedShards.length > 20 ? ', …' : ''}`;
  return [`LEFT OUT     ${skippedShards.length} of ${shards} shards of ${name}, by decision after they failed: ${listed}`];
}

/** Languages by how many pure features they have: `de 5, ja 3`. */
export function describePureFeatures(pureFeatures: Record<string, number>): string {
  const languages = Object.entries(pureFeatures).sort(([a, countA], [b, countB]) => countB - countA || (a < b ? -1 : 1));
  return languages.length === 0 ? 'none' : languages.map(([lang, count]) => `${lang} ${count}`).join(', ');
}

function summarizeSae({ name, hook, features, l0, fvu, lossRecovered, losses, tokens, alive, dead, ultraLow, pureFeatures, probes, resamplings, divergences }: SaeReport): string[] {
  const resampled = resamplings.map((record) => `${record.resampled} at step ${record.step}`);
  return [
    '',
    `SAE ${name}: ${formatCount(features)} features on ${hook}, over ${formatCount(tokens)} held-out tokens`,
    `  L0 ${formatNumber(l0)}, variance unexplained ${formatNumber(fvu)}, loss recovered ${formatNumber(lossRecovered)}`,
    `  losses: clean ${formatNumber(losses.clean)}, reconstructed ${formatNumber(losses.reconstructed)}, zero-ablated ${formatNumber(losses.zero)}, mean-ablated ${formatNumber(losses.mean)}`,
    `  features: ${alive} alive, ${dead} dead, ${ultraLow} of ultra-low density; resampled: ${resampled.length === 0 ? 'none' : resampled.join(', ')}${describeDivergences(divergences)}`,
    `  pure features (all top examples of one language): ${describePureFeatures(pureFeatures)}`,
    ...describeProbes(probes),
  ];
}

/** Probes by the F1 of their best features, and those of which the held-out text has too little. */
function describeProbes(probes: SaeReport['probes']): string[] {
  if (probes.length === 0) return [];
  const answered = probes.filter(({ enough, feature }) => enough && feature >= 0).sort((a, b) => b.f1 - a.f1);
  const few = probes.filter(({ enough }) => !enough).map(({ name }) => name);
  return [
    `  probes (F1 of the best feature): ${answered.length === 0 ? 'none answered' : answered.map(({ name, feature, f1 }) => `${name} ${f1.toFixed(2)} (${feature})`).join(', ')}`,
    ...(few.length === 0 ? [] : [`    too little held-out text for: ${few.join(', ')}`]),
  ];
}

function comparisonLines(name: string, { key, metrics: { valLoss, l0, lossRecovered, fvu, alive }, features, before, after }: SaeComparison): string[] {
  const change = ({ before: was, after: is }: { before: number; after: number }) => `${formatNumber(was)} → ${formatNumber(is)}`;
  const retrained = before.trainTransformer === after.trainTransformer ? '' : ' (trained anew)';
  return [
    `  SAE ${name}: validation loss ${change(valLoss)}${retrained}, L0 ${change(l0)}, loss recovered ${change(lossRecovered)}, variance unexplained ${change(fvu)}, alive ${change(alive)}`,
    ...(features === null ? [] : [`    features by decoder cosine ≥ ${features.threshold}: ${features.kept} kept, ${features.lost} lost, ${features.new} new (comparisons/${key})`]),
  ];
}

function describeDivergences(divergences: SaeReport['divergences']): string {
  return divergences.map(({ step, rolledBackTo, learningRateScale }) => `; diverged at step ${step}, learning rate × ${learningRateScale} from step ${rolledBackTo} on`).join('');
}
