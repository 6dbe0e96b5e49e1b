// The run's page: how good the autoencoder is (all four losses, never the ratio alone), how training went, and from
// which artifacts everything comes.
import type { RunPage } from '../../schemas/dashboard.ts';
import type { Report } from '../../schemas/report.ts';
import type { PageContext, View } from './context.ts';
import { curveChart, type CurveChart } from './curves.ts';
import { el, type Child } from './dom.ts';
import { formatBytes, formatCount, formatDuration, formatNumber, formatQuantity, formatShare } from './format.ts';
import { onThemeChange } from './theme.ts';

/** Renders data/run.json. */
export async function runView({ data, signal }: PageContext): Promise<View> {
  const [run, report] = await Promise.all([data.run(), data.report()]);
  const resampled = { steps: run.resamplings.map(({ step }) => step), meaning: 'resampling of dead features' };
  const charts = {
    transformer: run.curves.transformer.map((curve) => curveChart(curve, { steps: [], meaning: '' }, signal)),
    sae: run.curves.sae.map((curve) => curveChart(curve, resampled, signal)),
  };
  const draw = (): void => [...charts.transformer, ...charts.sae].forEach((chart) => chart.draw());
  onThemeChange(draw, signal);
  const element = el(
    'div',
    { class: 'run-view' },
    el('h1', { tabindex: -1 }, 'Run'),
    el('p', { class: 'lead' }, `Sparse autoencoder with ${formatQuantity(run.features, 'feature')} on `, el('code', {}, run.hook), ` (${run.dIn} wide), evaluated on ${formatQuantity(run.tokens, 'held-out token')}.`),
    el('div', { class: 'tables' }, lossTable(run), saeTable(run), transformerTable(run), resamplingTable(run), report !== undefined && costTable(report)),
    curveSection('Training of the autoencoder', charts.sae),
    curveSection('Training of the transformer', charts.transformer),
    lineage(run),
  );
  return { title: 'Run', element, attached: draw };
}

function lossTable({ sae, transformer, tokens }: RunPage): HTMLElement {
  const { losses } = sae;
  const row = (name: string, loss: number): Child[] => [name, loss.toFixed(4), loss === losses.clean ? '–' : `+${(loss - losses.clean).toFixed(4)}`];
  const body = table('Loss on held-out tokens, in nats', ['Activations', 'Loss', 'Above clean'], [
    row('clean', losses.clean),
    row('reconstructed', losses.reconstructed),
    row('mean-ablated', losses.mean),
    row('zero-ablated', losses.zero),
    ['unigram model', transformer.unigramLoss.toFixed(4), ''],
  ]);
  body.append(
    el('p', { class: 'hint' }, `Loss recovered, (zero − reconstructed) / (zero − clean): `, el('strong', {}, `${(sae.lossRecovered * 100).toFixed(2)}%`), ` over ${formatQuantity(tokens, 'token')}.`),
  );
  return body;
}

function saeTable({ sae, features }: RunPage): HTMLElement {
  const share = (count: number): string => `${formatCount(count)} (${formatShare(count / features)})`;
  return table('Sparse autoencoder', ['Measure', 'Value'], [
    ['L0: features active on a token', formatNumber(sae.l0, 4)],
    ['L1: sum of activations', formatNumber(sae.l1, 4)],
    ['Mean squared error', formatNumber(sae.mse, 4)],
    ['Fraction of variance unexplained', formatNumber(sae.fvu, 4)],
    ['Alive features', share(sae.alive)],
    ['Ultra-low density', share(sae.ultraLow)],
    ['Dead: never fired', share(sae.dead)],
  ]);
}

function transformerTable({ transformer }: RunPage): HTMLElement {
  return table('Transformer', ['Measure', 'Value'], [
    ['Validation loss', transformer.valLoss.toFixed(4)],
    ['Unigram loss', transformer.unigramLoss.toFixed(4)],
    ['Parameters', formatCount(transformer.parameters)],
  ]);
}

function resamplingTable({ resamplings }: RunPage): HTMLElement {
  if (resamplings.length === 0) return el('section', {}, el('h2', {}, 'Resamplings'), el('p', { class: 'hint' }, 'None in this run.'));
  return table('Resamplings', ['Step', 'Dead', 'Resampled'], resamplings.map(({ step, dead, resampled }) => [formatCount(step), formatCount(dead), formatCount(resampled)]));
}

function costTable({ stages }: Report): HTMLElement {
  const rows = stages.map(({ name, seconds, bytes, device, cached }): Child[] => [name, cached ? 'found' : formatDuration(seconds), device, formatBytes(bytes)]);
  const total = (of: (stage: Report['stages'][number]) => number): number => stages.filter(({ cached }) => !cached).reduce((sum, stage) => sum + of(stage), 0);
  return table('What it took', ['Stage', 'Computing', 'On', 'Stored'], [...rows, ['made by this run', formatDuration(total(({ seconds }) => seconds)), '', formatBytes(total(({ bytes }) => bytes))]]);
}

function curveSection(title: string, charts: readonly CurveChart[]): HTMLElement {
  const content = charts.length > 0 ? el('div', { class: 'curves' }, ...charts.map(({ element }) => element)) : el('p', { class: 'hint' }, 'No curves recorded.');
  return el('section', {}, el('h2', {}, title), content);
}

function lineage({ lineage: stages }: RunPage): HTMLElement {
  return el(
    'section',
    {},
    el('h2', {}, 'Lineage'),
    el('p', { class: 'hint' }, 'The artifacts this page was made from, each with the configuration it was made with.'),
    ...stages.map(({ stage, key, config, skipped }) =>
      el('details', { class: 'stage' }, el('summary', {}, el('b', {}, stage), ' ', el('code', {}, key), skipped && ` ${leftOut(skipped)}`), el('pre', { tabindex: 0 }, JSON.stringify(config, null, 2))),
    ),
  );
}

function leftOut({ shards, total }: NonNullable<RunPage['lineage'][number]['skipped']>): string {
  return `${formatCount(shards.length)} of ${formatCount(total)} shards left out (${shards.slice(0, 20).join(', ')}${shards.length > 20 ? ', …' : ''})`;
}

/** A small table: the first column names, the others are numbers. */
function table(caption: string, heads: readonly string[], rows: readonly Child[][]): HTMLElement {
  const cell = (child: Child, column: number): HTMLElement => (column === 0 ? el('th', { scope: 'row' }, child) : el('td', { class: 'numeric' }, child));
  return el(
    'section',
    {},
    el(
      'table',
      { class: 'numbers' },
      el('caption', {}, caption),
      el('thead', {}, el('tr', {}, ...heads.map((head, column) => el('th', { scope: 'col', class: column > 0 && 'numeric' }, head)))),
      el('tbody', {}, ...rows.map((row) => el('tr', {}, ...row.map(cell)))),
    ),
  );
}
