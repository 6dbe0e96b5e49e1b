// The table of all features. Only the rows in view exist in the document, so 131,072 features scroll like 50; the rest is
// two spacer rows. It is an ARIA grid of one tab stop: arrow keys move the active row, Enter opens it.
import { el, type Child } from './dom.ts';
import { liveness, type SortKey } from './featureQuery.ts';
import type { FeatureTexts } from './featureTexts.ts';
import { formatDensity, formatNumber, formatShare, formatSignedShare } from './format.ts';
import type { IndexTable } from './packedColumns.ts';
import { featureHref } from './router.ts';
import { tokenChip, type TokenLabels } from './tokenLabels.ts';
import { visibleText } from './tokens.ts';

export interface FeatureTableOptions {
  index: IndexTable;
  labels: TokenLabels;
  texts: FeatureTexts;
  /** log10 of the density at which a density bar is empty. */
  densityFloor: number;
  onSort(key: SortKey): void;
}

export interface FeatureTable {
  element: HTMLElement;
  /** The part of it that takes the keyboard. */
  grid: HTMLElement;
  /** Shows these features, in this order, from the top. */
  show(order: readonly number[], sort: SortKey, descending: boolean): void;
  /** Makes a feature's row the active one and scrolls to it. */
  reveal(feature: number): void;
  /** Makes the rows again where they are, when there is more to show in them. */
  refresh(): void;
  /** Lays the rows out again after the element was attached or resized. */
  layout(): void;
}

/** Rows kept above and below the view: new ones are made only when these are used up. */
const overscanRows = 12;
const nothingShown = { first: -1, last: -1, rowPx: 0 };

/** The table's columns, by which it can be sorted. */
export const columns: readonly { key: SortKey; label: string; short: string; numeric: boolean }[] = [
  { key: 'feature', label: 'Feature', short: 'No.', numeric: true },
  { key: 'density', label: 'Density', short: 'Density', numeric: true },
  { key: 'max', label: 'Max activation', short: 'Max', numeric: true },
  { key: 'token', label: 'Top token', short: 'Token', numeric: false },
  { key: 'lang', label: 'Language', short: 'Lang', numeric: false },
  { key: 'purity', label: 'Purity', short: 'Pure', numeric: true },
  { key: 'effect', label: 'Effect', short: 'Effect', numeric: true },
  { key: 'loss', label: 'Loss share', short: 'Loss', numeric: true },
  { key: 'probe', label: 'Probe', short: 'Probe', numeric: false },
];

export function featureTable({ index, labels, texts, densityFloor, onSort }: FeatureTableOptions): FeatureTable {
  let mostExamples = 0;
  for (let feature = 0; feature < index.features; feature++) mostExamples = Math.max(mostExamples, index.topExamples[feature] ?? 0);
  let order: readonly number[] = [];
  let active = -1;
  let shown = nothingShown;

  const headers = columns.map(({ key, label, short, numeric }) =>
    el(
      'th',
      { scope: 'col', class: `col-${key}${numeric ? ' numeric' : ''}` },
      el('button', { type: 'button', onclick: () => onSort(key) }, el('span', { class: 'long' }, label), el('span', { class: 'short' }, short)),
    ),
  );
  const before = spacer();
  const after = spacer();
  const body = el('tbody', {}, before.row, after.row);
  const table = el(
    'table',
    { class: 'features', role: 'grid', tabindex: 0, 'aria-label': 'Features', 'aria-colcount': columns.length },
    el('thead', {}, el('tr', { 'aria-rowindex': 1 }, ...headers)),
    body,
  );
  const scroller = el('div', { class: 'scroller' }, table);

  let frame = 0;
  scroller.addEventListener('scroll', () => {
    if (frame === 0) frame = requestAnimationFrame(() => ((frame = 0), layout()));
  });
  table.addEventListener('keydown', onKey);
  body.addEventListener('click', (event) => {
    const row = (event.target as Element).closest<HTMLElement>('tr[data-feature]');
    if (row !== null && !(event.target instanceof HTMLAnchorElement)) location.hash = featureHref(Number(row.dataset.feature));
  });

  return { element: scroller, grid: table, show, reveal, refresh, layout };

  function show(next: readonly number[], sort: SortKey, descending: boolean): void {
    order = next;
    active = -1;
    shown = nothingShown;
    table.setAttribute('aria-rowcount', String(order.length + 1));
    columns.forEach(({ key }, column) => headers[column]?.setAttribute('aria-sort', key !== sort ? 'none' : descending ? 'descending' : 'ascending'));
    scroller.scrollTop = 0;
    layout();
  }

  function reveal(feature: number): void {
    const position = order.indexOf(feature);
    if (position >= 0) activate(position, 'center');
  }

  function refresh(): void {
    shown = nothingShown;
    layout();
  }

  function layout(): void {
    const rowPx = rowHeightPx();
    const firstInView = Math.floor(scroller.scrollTop / rowPx);
    const lastInView = Math.min(order.length, Math.ceil((scroller.scrollTop + scroller.clientHeight) / rowPx));
    if (rowPx === shown.rowPx && firstInView >= shown.first && lastInView <= shown.last) return;
    const first = Math.max(0, firstInView - overscanRows);
    const last = Math.min(order.length, lastInView + overscanRows);
    shown = { first, last, rowPx };
    before.setHeight(first * rowPx);
    after.setHeight((order.length - last) * rowPx);
    const rows = order.slice(first, last).map((feature, offset) => featureRow(feature, first + offset));
    body.replaceChildren(before.row, ...rows, after.row);
    markActive();
  }

  function featureRow(feature: number, position: number): HTMLElement {
    const density = index.density[feature] ?? 0;
    const share = index.topLangShare[feature] ?? 0;
    const life = liveness(density);
    const token = index.topToken[feature] ?? -1;
    const densityBar = Math.min(Math.max(1 - Math.log10(density) / densityFloor, 0), 1);
    const dead = life === 'dead';
    const cells: Record<SortKey, Child[]> = {
      feature: [texts.note(feature)?.starred === true && star(), el('a', { href: featureHref(feature), tabindex: -1 }, feature)],
      density: [dead ? el('span', { class: 'tag' }, 'dead') : meter(formatDensity(density), densityBar)],
      max: [dead ? '–' : formatNumber(index.maxActivation[feature] ?? 0)],
      token: [token < 0 ? '–' : tokenChip(token, labels), about(feature)],
      lang: [index.topLang[feature] || '–'],
      purity: [dead ? '–' : meter(formatShare(share), share, examplesNote(feature))],
      effect: [dead || index.ablation === undefined ? '–' : formatNumber(index.ablation[feature] ?? 0, 2)],
      loss: [dead || index.lossShare === undefined ? '–' : formatSignedShare(index.lossShare[feature] ?? 0)],
      probe: [probe(feature)],
    };
    return el(
      'tr',
      { id: `row-${position}`, 'aria-rowindex': position + 2, 'data-feature': feature, class: life },
      ...columns.map(({ key, numeric }) => el('td', { class: `cell-${key}${numeric ? ' numeric' : ''}` }, ...cells[key])),
    );
  }

  function about(feature: number): Child {
    const text = texts.about(feature);
    return text !== '' && el('span', { class: 'about', title: text }, ` ${text}`);
  }

  function probe(feature: number): Child {
    const name = visibleText(texts.probe(index, feature));
    return name === '' ? '–' : el('span', {}, name, ' ', index.probeF1 !== undefined && el('span', { class: 'note' }, `F1 ${(index.probeF1[feature] ?? 0).toFixed(2)}`));
  }

  /** Where a feature has fewer examples than the others, its purity says how few. */
  function examplesNote(feature: number): string {
    const examples = index.topExamples[feature] ?? 0;
    return examples < mostExamples ? `n=${examples}` : '';
  }

  function onKey(event: KeyboardEvent): void {
    if (event.target !== table) return;
    const page = Math.max(1, Math.floor(scroller.clientHeight / rowHeightPx()) - 2);
    const target = { ArrowDown: active + 1, ArrowUp: active - 1, PageDown: active + page, PageUp: active - page, Home: 0, End: order.length - 1 }[event.key];
    if (target !== undefined && order.length > 0) {
      event.preventDefault();
      activate(Math.min(Math.max(target, 0), order.length - 1), 'nearest');
      return;
    }
    const feature = order[active];
    if (event.key === 'Enter' && feature !== undefined) location.hash = featureHref(feature);
  }

  function activate(position: number, block: 'nearest' | 'center'): void {
    active = position;
    const rowPx = rowHeightPx();
    const top = position * rowPx;
    const viewPx = scroller.clientHeight - headerHeightPx();
    if (block === 'center') scroller.scrollTop = top - viewPx / 2;
    else if (top < scroller.scrollTop) scroller.scrollTop = top;
    else if (top + rowPx > scroller.scrollTop + viewPx) scroller.scrollTop = top + rowPx - viewPx;
    layout();
    markActive();
  }

  function markActive(): void {
    for (const row of body.querySelectorAll('[aria-selected]')) row.removeAttribute('aria-selected');
    const row = active < 0 ? null : body.querySelector(`#row-${active}`);
    row?.setAttribute('aria-selected', 'true');
    if (row === null) table.removeAttribute('aria-activedescendant');
    else table.setAttribute('aria-activedescendant', row.id);
  }

  function rowHeightPx(): number {
    return Number.parseFloat(getComputedStyle(scroller).getPropertyValue('--row')) || 32;
  }

  function headerHeightPx(): number {
    return table.tHead?.getBoundingClientRect().height ?? 0;
  }
}

function star(): HTMLElement {
  return el('span', { class: 'star', role: 'img', 'aria-label': 'starred' }, '★');
}

/** A number with a bar beside it: `share` 0 to 1. */
function meter(text: string, share: number, note = ''): HTMLElement {
  return el('span', { class: 'meter' }, note !== '' && el('span', { class: 'note' }, note), el('span', { class: 'track', '--share': share.toFixed(3) }), el('span', {}, text));
}

function spacer(): { row: HTMLElement; setHeight(heightPx: number): void } {
  const cell = el('td');
  return { row: el('tr', { class: 'spacer', 'aria-hidden': 'true' }, cell), setHeight: (heightPx) => cell.style.setProperty('height', `${heightPx}px`) };
}
