// The index: every feature of the run as a table, with search, density brush and the two kinds of silent features.
// Its state lives in the address, so that a list can be shared and the back button returns to it.
import type { FeatureIndex } from '../../schemas/dashboard.ts';
import type { PageContext, View } from './context.ts';
import { densityBrush } from './densityBrush.ts';
import { el } from './dom.ts';
import { defaultFilter, filterFromParameters, indexHref, liveness, namedFeature, selectFeatures, type FeatureFilter, type Selection, type SortKey } from './featureQuery.ts';
import { featureTable } from './featureTable.ts';
import { formatCount, formatQuantity } from './format.ts';
import { featureHref } from './router.ts';
import { runStrip } from './runStrip.ts';
import { TokenLabels } from './tokenLabels.ts';

const searchDelayMs = 60;

/** Renders the table of features for the parameters of the address. */
export async function indexView(context: PageContext, parameters: URLSearchParams): Promise<View> {
  const [index, vocabulary, strip] = await Promise.all([context.data.index(), context.data.vocabulary(), runStrip(context.data)]);
  const labels = new TokenLabels(vocabulary);
  let filter = filterFromParameters(parameters);

  const brush = densityBrush(index.density, { low: filter.densityLow, high: filter.densityHigh }, (range) => apply({ densityLow: range.low, densityHigh: range.high }));
  const table = featureTable({ index, labels, densityFloor: brush.floor, onSort: (key) => apply(nextSort(filter, key)) });
  const search = searchBox(filter.query, (query) => apply({ query }), index);
  const status = el('p', { class: 'status', role: 'status' });
  const empty = el('div', { class: 'notice', hidden: true });
  const silent = silentToggles(index, filter, apply);
  const element = el('div', { class: 'index-view' }, el('h1', { tabindex: -1, class: 'visually-hidden' }, 'Features'), strip, brush.element, el('div', { class: 'toolbar' }, search, silent, status), empty, table.element);
  document.addEventListener('keydown', (event) => focusSearch(event, search), { signal: context.signal });
  window.addEventListener('resize', () => table.layout(), { signal: context.signal });
  const focus = context.memory.lastFeature === undefined ? undefined : table.grid;
  return { title: 'Features', element, focus, attached };

  function attached(): void {
    refresh();
    if (context.memory.lastFeature !== undefined) table.reveal(context.memory.lastFeature);
  }

  function apply(change: Partial<FeatureFilter>): void {
    filter = { ...filter, ...change };
    history.replaceState(null, '', indexHref(filter));
    refresh();
  }

  function refresh(): void {
    const selection = selectFeatures(index, filter, labels);
    context.memory.indexHref = indexHref(filter);
    context.memory.order = selection.order;
    table.show(selection.order, filter.sort, filter.descending);
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
  const largestFirst = key === 'density' || key === 'max' || key === 'purity';
  return { sort: key, descending: key === filter.sort ? !filter.descending : largestFirst };
}

function searchBox(query: string, onQuery: (query: string) => void, index: FeatureIndex): HTMLElement {
  let timer = 0;
  const input = el('input', {
    type: 'search',
    id: 'search',
    value: query,
    placeholder: 'number, token, language, lang:de',
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
    el('span', { id: 'search-help', class: 'visually-hidden' }, 'Words match top tokens and languages. lang:de, token:the and #12 say which; quotes keep spaces. Enter on a number opens the feature.'),
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
function silentToggles(index: FeatureIndex, filter: FeatureFilter, onChange: (change: Partial<FeatureFilter>) => void): HTMLElement {
  const counts = { dead: 0, 'ultra-low': 0, alive: 0 };
  for (const density of index.density) counts[liveness(density)]++;
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
