// The Markdown of a comparison with the run before, for the details of the run that made it.
import type { Changes, SaeComparison } from '../schemas/comparison.ts';

/** `run saeflow/nightly-2026-11-24T03:00:00Z of 2026-11-24 05:12 UTC`. */
export function describePrevious({ workflowId, finishedAt, configHash }: NonNullable<Changes['previous']>): string {
  const when = finishedAt === undefined ? '' : ` of ${finishedAt.slice(0, 16).replace('T', ' ')} UTC`;
  return `run ${workflowId ?? configHash.slice(0, 12)}${when}`;
}

/** The sentence, and a row of numbers for each SAE that was compared. */
export function describeChanges({ summary, saes }: Changes): string {
  if (saes.length === 0) return `**${summary}**`;
  const rows = saes.map(({ name, comparison, note }) => `| ${name} | ${comparison === null ? ' | | | | | ' : cells(comparison)} | ${note.replace(/\s+/g, ' ').replaceAll('|', '\\|')} |`);
  const retrained = saes.some(({ comparison }) => comparison !== null && comparison.before.trainTransformer !== comparison.after.trainTransformer);
  return [
    `**${summary}**`,
    '',
    '| SAE | validation loss | L0 | loss recovered | variance unexplained | alive | features kept, lost, new | |',
    '|---|---|---|---|---|---|---|---|',
    ...rows,
    ...(retrained ? ['', 'The transformer was trained anew too: features of two models share directions only as far as the models do.'] : []),
  ].join('\n');
}

function cells({ metrics: { valLoss, l0, lossRecovered, fvu, alive }, features }: SaeComparison): string {
  const changed = [valLoss, l0, lossRecovered, fvu, alive].map(({ before, after }) => `${short(before)} → ${short(after)}`);
  const matched = features === null ? '' : `${features.kept}, ${features.lost}, ${features.new} at cosine ≥ ${features.threshold}`;
  return [...changed, matched].join(' | ');
}

function short(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toPrecision(4);
}
