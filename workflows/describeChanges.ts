// The Markdown of a comparison with the run before, for the details of the run that made it.
import type { Changes, SaeComparison } from '../schemas/comparison.ts';

/** `run saeflow/nightly-2026-11-24T03:00:00Z of 2026-11-24 05:12 UTC`. */
export function describePrevious({ workflowId, finishedAt, configHash }: NonNullable<Changes['previous']>): string {
  const when = finishedAt === undefined ? '' : ` of ${finishedAt.slice(0, 16).replace('T', ' ')} UTC`;
  return `run ${workflowId ?? configHash.slice(0, 12)}${when}`;
}

/** The sentence, and below it a narrow table, for the UI gives it half a page: of each SAE what it was and what it is. */
export function describeChanges({ summary, saes }: Changes): string {
  if (saes.length === 0) return `**${summary}**`;
  const retrained = saes.some(({ comparison }) => comparison !== null && comparison.before.trainTransformer !== comparison.after.trainTransformer);
  return [
    `**${summary}**`,
    '',
    '| SAE | before | now |',
    '|---|---|---|',
    ...saes.flatMap(({ name, comparison, note }) => [`| **${name}** | ${note.replace(/\s+/g, ' ').replaceAll('|', '\\|')} | |`, ...(comparison === null ? [] : rowsOf(comparison))]),
    ...(retrained ? ['', 'The transformer was trained anew too: features of two models share directions only as far as the models do.'] : []),
  ].join('\n');
}

function rowsOf({ metrics: { valLoss, l0, lossRecovered, fvu, alive }, features }: SaeComparison): string[] {
  const row = (name: string, { before, after }: { before: number; after: number }) => `| ${name} | ${short(before)} | ${short(after)} |`;
  return [
    row('validation loss', valLoss),
    row('L0', l0),
    row('loss recovered', lossRecovered),
    row('variance unexplained', fvu),
    row('alive features', alive),
    ...(features === null ? [] : [`| features by decoder cosine ≥ ${features.threshold} | ${features.lost} lost | ${features.kept} kept, ${features.new} new |`]),
  ];
}

function short(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toPrecision(4);
}
