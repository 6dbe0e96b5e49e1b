// The index: every feature of the run as a table, with search, density brush and the two kinds of silent features.
// Its state lives in the address, so that a list can be shared and the back button returns to it.
import type { PageContext, View } from './context.ts';
import { densityBrush } from './densityBrush.ts';
import { el } from './dom.ts';
import { defaultFilter, filterFromParameters, indexHref, liveness, namedFeature, needsLateColumns, selectFeatures, type FeatureFilter, type Selection, type SortKey } from './featureQuery.ts';
import { columns, featureTable } from './featureTable.ts';
import { FeatureTexts } from './featureTexts.ts';
import { formatCount, formatQuantity } from './format.ts';
import { notesTools } from './notesTools.ts';
import { lateColumns, type IndexTable } from './packedColumns.ts';
import { featureHref } from './router.ts';
import { runStrip } from './runStrip.ts';
import { TokenLabels } from './tokenLabels.ts';

const searchDelayMs = 60;

/** Renders the table of features for the parameters of the address. */
export async function indexView(context: PageContext, parameters: URLSearchParams): Promise<View> {
  let filter = filterFromParameters(parameters);
  const { data } = context;
  const [index, vocabulary, strip, texts] = await Promise.all([needsLateColumns(filter) ? data.lateIndex() : data.index(), data.vocabulary(), runStrip(data), FeatureTexts.open(data)]);
  const labels = new TokenLabels(vocabulary);
  const { notes } = texts;

  const brush = densityBrush(index.density, { low: filter.densityLow, high: filter.densityHigh }, (range) => apply({ densityLow: range.low, densityHigh: range.high }));
  const table = featureTable({ index, labels, texts, densityFloor: brush.floor, onSort: (key) => apply(nextSort(filter, key)) });
  const search = searchBox(filter.query, (query) => apply({ query }), index);
  const status = el('p', { class: 'status', role: 'status' });
  const empty = el('div', { class: 'notice', hidden: true });
  const sorting = sortChoice((key) => apply(nextSort(filter, key)));
  const silent = silentToggles(index, filter, apply);
  const element = el('div', { class: 'index-view' }, el('h1', { tabindex: -1, class: 'visually-hidden' }, 'Features'), strip, brush.element, el('div', { class: 'toolbar' }, search, sorting, silent, notes !== undefined && notesTools(notes, refresh), status), empty, table.element);
  document.addEventListener('keydown', (event) => focusSearch(event, search), { signal: context.signal });
  window.addEventListener('resize', () => table.layout(), { signal: context.signal });
  const focus = context.memory.lastFeature === undefined ? undefined : table.grid;
  return { title: 'Features', element, focus, attached };

  function attached(): void {
    refresh();
    if (context.memory.lastFeature !== undefined) table.reveal(context.memory.lastFeature);
    // After the first rows are on the screen: they are no hurry, and large.
    requestAnimationFrame(() => void data.lateIndex().then(table.refresh, () => undefined));
  }

  function apply(change: Partial<FeatureFilter>): void {
    filter = { ...filter, ...change };
    history.replaceState(null, '', indexHref(filter));
    if (needsLateColumns(filter) && lateColumns.some((name) => index[name] === undefined)) void data.lateIndex().then(refresh, fail);
    else refresh();
  }

  function fail(error: unknown): void {
    status.textContent = error instanceof Error ? error.message : String(error);
  }

  function refresh(): void {
    if (context.signal.aborted) return;
    const selection = selectFeatures(index, filter, labels, texts);
    context.memory.indexHref = indexHref(filter);
    context.memory.order = selection.order;
    table.show(selection.order, filter.sort, filter.descending);
    sorting.value = filter.sort;
    status.textContent = `${formatCount(selection.order.length)} of ${formatQuantity(index.features, 'feature')}`;
    empty.hidden = selection.order.length > 0;
    table.element.hidden = selection.order.length === 0;
    if (selection.order.length === 0) empty.replaceChildren(...emptyNotice(selection));
  }

  function emptyNotice(selection: Selection): Node[] {
    const silentMatches = selection.hiddenDead + selection.hiddenUltraLow;
    const reset = (): void => {
      location.hash = indexHref({ ...defaultFilter, showDead: silentMatches > 0, showUltraLow: silentMatches > 0, query: silentMatches > 0 ? filter.query : '' });
    };
    return silentMatches > 0
      ? [el('p', {}, `Only dead or ultra-low-density features match (${formatCount(silentMatches)}).`), el('button', { type: 'button', onclick: reset }, 'Show them')]
      : [el('p', {}, 'No feature matches the search and the density range.'), el('button', { type: 'button', onclick: reset }, 'Clear filters')];
  }
}

/** A click on the sorted column turns it round; on another column starts with the end that is of interest. */
function nextSort(filter: FeatureFilter, key: SortKey): Pick<FeatureFilter, 'sort' | 'descending'> {
  const largestFirst = key !== 'feature' && key !== 'token' && key !== 'lang';
  return { sort: key, descending: key === filter.sort ? !filter.descending : largestFirst };
}

/** Choosing the column to sort by, for screens too narrow for all of the columns. */
function sortChoice(onSort: (key: SortKey) => void): HTMLSelectElement {
  const select = el('select', { class: 'sort', 'aria-label': 'Sort by', onchange: () => onSort(columns[select.selectedIndex]?.key ?? 'feature') }, ...columns.map(({ key, label }) => el('option', { value: key }, `by ${label.toLowerCase()}`)));
  return select;
}

function searchBox(query: string, onQuery: (query: string) => void, index: IndexTable): HTMLElement {
  let timer = 0;
  const input = el('input', {
    type: 'search',
    id: 'search',
    value: query,
    placeholder: 'number, token, language, probe, label or note',
    autocomplete: 'off',
    spellcheck: 'false',
    'aria-describedby': 'search-help',
    oninput: () => {
      clearTimeout(timer);
      timer = window.setTimeout(() => onQuery(input.value), searchDelayMs);
    },
    onkeydown: (event: KeyboardEvent) => {
      const named = namedFeature(input.value, index);
      if (event.key === 'Enter' && named !== undefined) location.hash = featureHref(named);
    },
  });
  return el(
    'div',
    { class: 'search' },
    el('label', { for: 'search' }, 'Search'),
    input,
    el('span', { id: 'search-help', class: 'visually-hidden' }, 'Words match top tokens, languages, probes, labels and your notes. lang:de, token:the, probe:latex, label:, note:, is:starred and #12 say which; quotes keep spaces. Enter on a number opens the feature.'),
  );
}

/** `/` goes to the search box, unless the reader is typing. */
function focusSearch(event: KeyboardEvent, search: HTMLElement): void {
  if (event.key !== '/' || event.ctrlKey || event.metaKey || event.target instanceof HTMLInputElement) return;
  event.preventDefault();
  search.querySelector('input')?.select();
  search.querySelector('input')?.focus();
}

/** Check boxes that show dead and ultra-low-density features, with their numbers. */
function silentToggles(index: IndexTable, filter: FeatureFilter, onChange: (change: Partial<FeatureFilter>) => void): HTMLElement {
  const counts = { dead: 0, 'ultra-low': 0, alive: 0 };
  for (let feature = 0; feature < index.features; feature++) counts[liveness(index.density[feature] ?? 0)]++;
  const box = (label: string, count: number, checked: boolean, change: (checked: boolean) => Partial<FeatureFilter>, explanation: string): HTMLElement =>
    el(
      'label',
      { class: 'toggle', title: explanation },
      el('input', { type: 'checkbox', checked, disabled: count === 0, onchange: (event: Event) => onChange(change((event.target as HTMLInputElement).checked)) }),
      `${label} (${formatCount(count)})`,
    );
  return el(
    'fieldset',
    { class: 'toggles' },
    el('legend', { class: 'visually-hidden' }, 'Also show'),
    box('dead', counts.dead, filter.showDead, (showDead) => ({ showDead }), 'Features that never fired on the held-out tokens'),
    box('ultra-low density', counts['ultra-low'], filter.showUltraLow, (showUltraLow) => ({ showUltraLow }), 'Features that fired on fewer than one token in a million'),
  );
}
