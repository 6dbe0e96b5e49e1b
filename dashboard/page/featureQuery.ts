// Which features the table shows and in what order: pure functions over the index's columns, so that 131,072 features
// filter and sort within a frame or two and the rules can be tested without a browser.
import type { FeatureTexts } from './featureTexts.ts';
import type { IndexTable } from './packedColumns.ts';
import type { TokenLabels } from './tokenLabels.ts';

/** Below this density a feature fires too rarely to be read (SPEC §5). */
export const ultraLowDensity = 1e-6;

export const sortKeys = ['feature', 'density', 'max', 'token', 'lang', 'purity', 'effect', 'loss', 'probe'] as const;
export type SortKey = (typeof sortKeys)[number];

/** Whether a filter needs columns that do not come with the first view. */
export function needsLateColumns({ sort, query }: FeatureFilter): boolean {
  return sort === 'effect' || sort === 'loss' || sort === 'probe' || query.trim() !== '';
}

export interface FeatureFilter {
  query: string;
  sort: SortKey;
  descending: boolean;
  showDead: boolean;
  showUltraLow: boolean;
  /** Bounds of log10(density), from the histogram's brush; a bound leaves dead features out. */
  densityLow?: number;
  densityHigh?: number;
}

export const defaultFilter: FeatureFilter = { query: '', sort: 'feature', descending: false, showDead: false, showUltraLow: false };

export interface Selection {
  /** Feature numbers in the order shown. */
  order: number[];
  /** Features that match but are left out because they are dead or of ultra-low density. */
  hiddenDead: number;
  hiddenUltraLow: number;
}

export type Liveness = 'alive' | 'ultra-low' | 'dead';

/** Dead: never fired on the held-out tokens. Ultra-low: fired on fewer than one in a million. */
export function liveness(density: number): Liveness {
  return density === 0 ? 'dead' : density < ultraLowDensity ? 'ultra-low' : 'alive';
}

/**
 * The features that pass a filter, sorted; ties by feature number.
 *
 * Query terms must all match. A word matches a top token, probe, automatic label or note that contains it, or a top
 * language that equals it; digits also match a feature number; `lang:de`, `token:the`, `probe:`, `label:`, `note:`,
 * `is:starred` and `#12` say which; quotes keep spaces: `token:" the"`.
 */
export function selectFeatures(index: IndexTable, filter: FeatureFilter, labels: TokenLabels, texts: FeatureTexts): Selection {
  const matches = queryMatcher(index, filter.query, labels, texts);
  const selection: Selection = { order: [], hiddenDead: 0, hiddenUltraLow: 0 };
  for (let feature = 0; feature < index.features; feature++) {
    const density = index.density[feature] ?? 0;
    if (!insideBrush(density, filter) || !matches(feature)) continue;
    const life = liveness(density);
    if (life === 'dead' && !filter.showDead) selection.hiddenDead++;
    else if (life === 'ultra-low' && !filter.showUltraLow) selection.hiddenUltraLow++;
    else selection.order.push(feature);
  }
  sortFeatures(selection.order, index, filter, labels);
  return selection;
}

/** The feature a query names and nothing else (`12`, `#12`), if there is one. */
export function namedFeature(query: string, index: IndexTable): number | undefined {
  const digits = /^\s*#?(\d+)\s*$/.exec(query)?.[1];
  return digits !== undefined && Number(digits) < index.features ? Number(digits) : undefined;
}

function insideBrush(density: number, filter: FeatureFilter): boolean {
  if (filter.densityLow === undefined && filter.densityHigh === undefined) return true;
  const logDensity = Math.log10(density);
  return logDensity >= (filter.densityLow ?? -Infinity) && logDensity <= (filter.densityHigh ?? Infinity) && density > 0;
}

function queryMatcher(index: IndexTable, query: string, labels: TokenLabels, texts: FeatureTexts): (feature: number) => boolean {
  const lowerCase = new Map<number, string>();
  const tokenText = (feature: number): string => {
    const id = index.topToken[feature] ?? -1;
    const known = lowerCase.get(id);
    if (known !== undefined) return known;
    const text = labels.label(id).toLowerCase();
    lowerCase.set(id, text);
    return text;
  };
  const language = (feature: number): string => (index.topLang[feature] ?? '').toLowerCase();
  const found: Record<Exclude<Field, 'any'>, (feature: number, text: string) => boolean> = {
    lang: (feature, text) => language(feature) === text,
    token: (feature, text) => tokenText(feature).includes(text),
    feature: (feature, text) => String(feature) === text,
    probe: (feature, text) => texts.probe(index, feature).toLowerCase().includes(text),
    label: (feature, text) => texts.label(feature).toLowerCase().includes(text),
    note: (feature, text) => (texts.note(feature)?.comment ?? '').toLowerCase().includes(text),
    is: (feature, text) => text === 'starred' && texts.note(feature)?.starred === true,
  };
  const words = (['token', 'lang', 'feature', 'probe', 'label', 'note'] as const).map((field) => found[field]);
  const tests = parseQuery(query).map(({ field, text }) => {
    if (field === 'any') return (feature: number) => words.some((test) => test(feature, text));
    return (feature: number) => found[field](feature, text);
  });
  return (feature) => tests.every((test) => test(feature));
}

const prefixes = ['lang', 'token', 'probe', 'label', 'note', 'is'] as const;
type Field = (typeof prefixes)[number] | 'feature' | 'any';

interface Term {
  field: Field;
  text: string;
}

function parseQuery(query: string): Term[] {
  const terms: Term[] = [];
  for (const match of query.toLowerCase().matchAll(/(?:(lang|token|probe|label|note|is):)?(?:"([^"]*)"|(\S+))/g)) {
    const text = match[2] ?? match[3] ?? '';
    const prefix = prefixes.find((name) => name === match[1]);
    if (prefix !== undefined) terms.push({ field: prefix, text });
    else if (/^#\d+$/.test(text)) terms.push({ field: 'feature', text: String(Number(text.slice(1))) });
    else if (text !== '' && !/^(lang|token|probe|label|note|is):$/.test(text)) terms.push({ field: 'any', text });
  }
  return terms;
}

function sortFeatures(order: number[], index: IndexTable, filter: FeatureFilter, labels: TokenLabels): void {
  const column = sortColumn(filter.sort, index, labels);
  const sign = filter.descending ? -1 : 1;
  order.sort((a, b) => sign * ((column[a] ?? 0) - (column[b] ?? 0)) || a - b);
}

/** A number for each feature that sorts as the column does. */
function sortColumn(key: SortKey, index: IndexTable, labels: TokenLabels): ArrayLike<number> {
  if (key === 'density') return index.density;
  if (key === 'max') return index.maxActivation;
  // All of three examples says less than all of twenty: equal shares rank by how many examples there are.
  if (key === 'purity') return Float64Array.from(index.topLangShare, (share, feature) => share + (index.topExamples[feature] ?? 0) * 1e-9);
  if (key === 'effect') return index.ablation ?? [];
  if (key === 'loss') return index.lossShare ?? [];
  if (key === 'probe') return index.probeF1 ?? [];
  if (key === 'token') {
    const ranks = labels.ranks(Array.from(index.topToken));
    return Int32Array.from(index.topToken, (id) => ranks.get(id) ?? 0);
  }
  if (key === 'lang') {
    const ranks = new Map([...new Set(index.topLang)].sort().map((lang, rank) => [lang, rank]));
    return index.topLang.map((lang) => ranks.get(lang) ?? 0);
  }
  return Array.from({ length: index.features }, (_, feature) => feature);
}

/** Reads a filter from the parameters of the index's address; what is missing or wrong is the default. */
export function filterFromParameters(parameters: URLSearchParams): FeatureFilter {
  const sort = sortKeys.find((key) => key === parameters.get('sort')) ?? defaultFilter.sort;
  const bound = (name: string): number | undefined => {
    const value = Number(parameters.get(name) ?? Number.NaN);
    return Number.isFinite(value) ? value : undefined;
  };
  return {
    query: parameters.get('q') ?? '',
    sort,
    descending: parameters.get('dir') === 'desc',
    showDead: parameters.get('dead') === '1',
    showUltraLow: parameters.get('ultralow') === '1',
    densityLow: bound('low'),
    densityHigh: bound('high'),
  };
}

/** The address of the index with a filter: what {@link filterFromParameters} reads. */
export function indexHref(filter: FeatureFilter): string {
  const parameters = new URLSearchParams();
  if (filter.query.trim() !== '') parameters.set('q', filter.query);
  if (filter.sort !== defaultFilter.sort) parameters.set('sort', filter.sort);
  if (filter.descending) parameters.set('dir', 'desc');
  if (filter.showDead) parameters.set('dead', '1');
  if (filter.showUltraLow) parameters.set('ultralow', '1');
  if (filter.densityLow !== undefined) parameters.set('low', filter.densityLow.toFixed(2));
  if (filter.densityHigh !== undefined) parameters.set('high', filter.densityHigh.toFixed(2));
  const text = parameters.toString();
  return text === '' ? '#/' : `#/?${text}`;
}
