// The density histogram above the table, whose brush filters it. Drag over the bars to choose a range; the two handles
// are sliders, so that the keyboard and a screen reader can do the same.
import { bars } from './bars.ts';
import { el } from './dom.ts';
import { ultraLowDensity } from './featureQuery.ts';
import { formatQuantity } from './format.ts';

export interface DensityRange {
  /** Bounds of log10(density); undefined where the range is open. */
  low?: number;
  high?: number;
}

const binsPerDecade = 8;

/**
 * @param density of each feature; zeros are not counted.
 * @param onChange called while the range changes.
 */
export function densityBrush(density: ArrayLike<number>, range: DensityRange, onChange: (range: DensityRange) => void): { element: HTMLElement; floor: number } {
  const logs = Array.from(density).filter((value) => value > 0).map((value) => Math.log10(value));
  const floor = logs.length === 0 ? -7 : Math.max(Math.floor(logs.reduce((least, value) => Math.min(least, value), 0)), -9);
  const counts = new Array<number>(-floor * binsPerDecade || binsPerDecade).fill(0);
  for (const value of logs) {
    const bin = Math.min(Math.max(Math.floor((value - floor) * binsPerDecade), 0), counts.length - 1);
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  const span = counts.length / binsPerDecade;
  const top = floor + span;
  const current = { low: clamp(range.low ?? floor), high: clamp(range.high ?? top) };

  const chosen = el('div', { class: 'brush-range' });
  const handles = (['low', 'high'] as const).map((end) => handle(end));
  const clear = el('button', { type: 'button', class: 'quiet', onclick: () => set(floor, top) }, 'clear range');
  const picture = bars(counts, 'linear', (bin) => (floor + (bin + 0.5) / binsPerDecade < Math.log10(ultraLowDensity) ? 'bar ultra-low' : 'bar'));
  const area = el('div', { class: 'plot brush', '--decades': span }, picture, chosen, ...handles);
  area.addEventListener('pointerdown', drag);
  paint();
  const ticks = Array.from({ length: span + 1 }, (_, decade) => el('span', { '--at': decade / span }, '10', el('sup', {}, String(floor + decade).replace('-', '−'))));
  const element = el(
    'figure',
    { class: 'histogram density' },
    el('figcaption', {}, el('h2', {}, 'Feature density'), el('span', { class: 'hint' }, `${formatQuantity(logs.length, 'feature')} that fired; drag to filter`), clear),
    area,
    el('div', { class: 'ticks', 'aria-hidden': 'true' }, ...ticks),
  );
  return { element, floor };

  function clamp(value: number): number {
    return Math.min(Math.max(value, floor), top);
  }

  function set(low: number, high: number): void {
    current.low = clamp(Math.min(low, high));
    current.high = clamp(Math.max(low, high));
    paint();
    onChange({ low: current.low > floor ? current.low : undefined, high: current.high < top ? current.high : undefined });
  }

  function paint(): void {
    chosen.style.setProperty('--from', String((current.low - floor) / span));
    chosen.style.setProperty('--to', String((current.high - floor) / span));
    handles.forEach((element, position) => {
      const value = position === 0 ? current.low : current.high;
      element.style.setProperty('--at', String((value - floor) / span));
      element.setAttribute('aria-valuenow', value.toFixed(2));
      element.setAttribute('aria-valuetext', `density 10 to the power of ${value.toFixed(2)}`);
    });
    clear.hidden = current.low <= floor && current.high >= top;
  }

  function handle(end: 'low' | 'high'): HTMLElement {
    const element = el('div', {
      class: 'brush-handle',
      role: 'slider',
      tabindex: 0,
      'aria-label': end === 'low' ? 'Lowest density shown' : 'Highest density shown',
      'aria-valuemin': floor,
      'aria-valuemax': top,
    });
    element.addEventListener('keydown', (event) => {
      const step = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -binsPerDecade, PageUp: binsPerDecade }[event.key];
      const value = event.key === 'Home' ? floor : event.key === 'End' ? top : step === undefined ? undefined : current[end] + step / binsPerDecade;
      if (value === undefined) return;
      event.preventDefault();
      if (end === 'low') set(Math.min(value, current.high), current.high);
      else set(current.low, Math.max(value, current.low));
    });
    return element;
  }

  function drag(event: PointerEvent): void {
    event.preventDefault();
    const box = area.getBoundingClientRect();
    const valueAt = (clientX: number): number => Math.round((floor + ((clientX - box.left) / box.width) * span) * binsPerDecade) / binsPerDecade;
    const grabbed = handles.indexOf(event.target as HTMLElement);
    // A drag from a handle moves that end; a drag from elsewhere starts a new range.
    const anchor = grabbed === 0 ? current.high : grabbed === 1 ? current.low : valueAt(event.clientX);
    if (grabbed >= 0) handles[grabbed]?.focus();
    const move = (moved: PointerEvent): void => set(anchor, valueAt(moved.clientX));
    area.setPointerCapture(event.pointerId);
    area.addEventListener('pointermove', move);
    const end = (): void => {
      area.removeEventListener('pointermove', move);
      if (current.low === current.high) set(floor, top);
    };
    area.addEventListener('pointerup', end, { once: true });
    area.addEventListener('pointercancel', end, { once: true });
  }
}
