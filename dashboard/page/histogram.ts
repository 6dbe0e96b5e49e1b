// A histogram with its axis, a readout under the pointer, and a switch of the count scale: activation counts fall so
// steeply that on a linear scale the interesting tail is invisible, and on a log scale the bulk is.
import { bars, type CountScale } from './bars.ts';
import { el } from './dom.ts';
import { formatCount, formatNumber } from './format.ts';
import { remembered, remember } from './settings.ts';
import { hideTooltip, showTooltipAt } from './tooltip.ts';

export interface HistogramOptions {
  title: string;
  /** What is counted, in the plural: tokens, vocabulary entries. */
  noun: string;
  counts: readonly number[];
  low: number;
  high: number;
  className?: (middle: number) => string;
  /** Said beside the title. */
  note?: string;
}

/** A figure with bars over [low, high]. */
export function histogram(options: HistogramOptions): HTMLElement {
  const { counts, low, high, title } = options;
  const binWidth = (high - low) / Math.max(counts.length, 1);
  const className = (bin: number): string => options.className?.(low + (bin + 0.5) * binWidth) ?? 'bar';
  const plot = el('div', { class: 'plot', role: 'img', 'aria-label': summary(options) });
  const toggle = el('button', { type: 'button', class: 'quiet', onclick: () => draw(scale === 'log' ? 'linear' : 'log', true) });
  let scale: CountScale = 'linear';
  const draw = (next: CountScale, keep: boolean): void => {
    scale = next;
    plot.replaceChildren(bars(counts, scale, className));
    toggle.textContent = `counts: ${scale}`;
    toggle.setAttribute('aria-label', `counts: ${scale}, scale of ${title}`);
    if (keep) remember(`scale:${title}`, scale);
  };
  draw(remembered(`scale:${title}`) === 'log' ? 'log' : 'linear', false);
  plot.addEventListener('pointermove', (event) => readOut(event, plot, options, binWidth));
  plot.addEventListener('pointerleave', hideTooltip);
  const middle = low < 0 && high > 0 ? 0 : (low + high) / 2;
  const ticks = [low, middle, high].map((value) => el('span', { '--at': (value - low) / (high - low || 1) }, formatNumber(value)));
  return el(
    'figure',
    { class: 'histogram' },
    el('figcaption', {}, el('h2', {}, title), options.note !== undefined && el('span', { class: 'hint' }, options.note), toggle),
    plot,
    el('div', { class: 'ticks', 'aria-hidden': 'true' }, ...ticks),
  );
}

function readOut(event: PointerEvent, plot: HTMLElement, options: HistogramOptions, binWidth: number): void {
  const box = plot.getBoundingClientRect();
  const bin = Math.floor(((event.clientX - box.left) / box.width) * options.counts.length);
  const count = options.counts[bin];
  if (count === undefined) return;
  const from = options.low + bin * binWidth;
  const left = box.left + (bin / options.counts.length) * box.width;
  const text = `${formatNumber(from)} to ${formatNumber(from + binWidth)}: ${formatCount(count)} ${options.noun}`;
  showTooltipAt({ left, right: left + box.width / options.counts.length, top: box.top, bottom: box.bottom }, el('span', {}, text));
}

function summary({ title, noun, counts, low, high }: HistogramOptions): string {
  const total = counts.reduce((sum, count) => sum + count, 0);
  return `${title}: ${formatCount(total)} ${noun} from ${formatNumber(low)} to ${formatNumber(high)}`;
}
