// Training curves, by uPlot: thousands of points with a readout under the pointer. Colours come from the style sheet, so
// that both themes fit; the numbers that matter are also in words, since a canvas tells a screen reader nothing.
import uPlot from 'uplot';
import type { Curve } from '../../schemas/dashboard.ts';
import { el } from './dom.ts';
import { formatCount, formatNumber } from './format.ts';

export interface CurveChart {
  element: HTMLElement;
  /** Draws into the element, whose width must be known; again after a change of theme. */
  draw(): void;
}

/** Of the reader's font size: charts grow with it on large screens. */
const heightRem = 13.5;
const axisFontRem = 0.86;
/** A curve of so few points shows them: between them it is only a guess. */
const pointsMarked = 20;

/**
 * One curve over training steps.
 *
 * @param marks steps to mark by vertical lines, with what they mean.
 */
export function curveChart(curve: Curve, marks: { steps: readonly number[]; meaning: string }, signal: AbortSignal): CurveChart {
  const host = el('div', { class: 'chart', role: 'img', 'aria-label': inWords(curve) });
  const title = curve.unit === '' ? nameOf(curve) : `${nameOf(curve)}, ${curve.unit}`;
  const note = marks.steps.length > 0 && el('span', { class: 'hint' }, el('span', { class: 'dash', 'aria-hidden': 'true' }), marks.meaning);
  const element = el('figure', { class: 'curve' }, el('figcaption', {}, el('h3', {}, title), note), curve.steps.length > 0 ? host : el('p', { class: 'hint' }, 'No points recorded.'));
  let plot: uPlot | undefined;
  const observer = new ResizeObserver(() => plot?.setSize({ width: host.clientWidth, height: heightRem * remPx() }));
  observer.observe(host);
  signal.addEventListener('abort', () => {
    observer.disconnect();
    plot?.destroy();
  });
  const draw = (): void => {
    if (curve.steps.length === 0) return;
    plot?.destroy();
    plot = new uPlot(options(host, marks.steps, curve.steps.length), [curve.steps, curve.values], host);
  };
  return { element, draw };
}

function options(host: HTMLElement, marks: readonly number[], points: number): uPlot.Options {
  const ink = colour(host, '--muted');
  const axis: uPlot.Axis = { stroke: ink, grid: { stroke: colour(host, '--line'), width: 1 }, ticks: { show: false }, font: `${axisFontRem * remPx()}px system-ui, sans-serif` };
  return {
    width: host.clientWidth,
    height: heightRem * remPx(),
    scales: { x: { time: false } },
    cursor: { points: { size: 7 } },
    series: [
      { label: 'step', value: (_, step: number | null) => (step === null ? '–' : formatCount(step)) },
      { label: 'value', stroke: colour(host, '--accent'), width: 1.5, points: { show: points <= pointsMarked }, value: (_, value: number | null) => (value === null ? '–' : formatNumber(value, 4)) },
    ],
    axes: [
      { ...axis, size: 2 * remPx(), values: (_, splits) => splits.map((step) => (step >= 10_000 ? `${formatCount(step / 1_000)}k` : formatCount(step))) },
      { ...axis, size: 4.2 * remPx(), values: (_, splits) => splits.map(tickLabel) },
    ],
    hooks: { drawAxes: [(plot) => drawMarks(plot, marks, colour(host, '--heat'))] },
  };
}

/** Pixels of the reader's font size. */
export function remPx(): number {
  return Number.parseFloat(getComputedStyle(document.documentElement).fontSize) || 14;
}

function drawMarks(plot: uPlot, steps: readonly number[], stroke: string): void {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.strokeStyle = stroke;
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
  for (const step of steps) {
    const x = Math.round(plot.valToPos(step, 'x', true)) + 0.5;
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}

/** Shortest form of a round number: 0.1, 20, 1e-5. */
function tickLabel(value: number): string {
  return Number(value.toPrecision(6)).toLocaleString('en-US', { notation: value !== 0 && Math.abs(value) < 1e-4 ? 'scientific' : 'standard', maximumSignificantDigits: 4 });
}

/** A colour of the style sheet as the canvas understands it: resolved for the theme in force. */
export function colour(host: HTMLElement, property: string): string {
  const probe = el('span', { '--probe': `var(${property})`, class: 'colour-probe' });
  host.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

/** The metrics' names as they are read; a metric this page does not know keeps its own. */
const names: Record<string, string> = {
  trainLoss: 'Training loss',
  valLoss: 'Validation loss',
  learningRate: 'Learning rate',
  loss: 'Loss',
  mse: 'Mean squared error',
  l0: 'L0',
  l1: 'L1',
  dead: 'Dead',
};

function nameOf({ name }: Curve): string {
  return names[name] ?? name;
}

function inWords(curve: Curve): string {
  const { unit, steps, values } = curve;
  const name = nameOf(curve);
  const first = values[0];
  const last = values.at(-1);
  if (first === undefined || last === undefined) return `${name}: no points`;
  const range = `from ${formatNumber(first, 4)} at step ${formatCount(steps[0] ?? 0)} to ${formatNumber(last, 4)} at step ${formatCount(steps.at(-1) ?? 0)}`;
  return `${name}${unit === '' ? '' : ` in ${unit}`}: ${range}`;
}
