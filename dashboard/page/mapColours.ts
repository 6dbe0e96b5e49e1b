// How the map's points are coloured: by a number on a ramp, or by a name, of which the most frequent have a colour of
// their own.
import type { FeatureMap, ProbesPage } from '../../schemas/dashboard.ts';
import { formatCount } from './format.ts';
import type { IndexTable, LateColumn } from './packedColumns.ts';
import { visibleText } from './tokens.ts';

export type MapIndex = IndexTable & Record<LateColumn, ArrayLike<number>>;

export interface Coloured {
  of(point: number): string;
  /** Whether a point is one of the many that have no colour of their own: the others lie above it. */
  isGrey(point: number): boolean;
  legend: readonly { name: string; fill: string }[];
}

export interface Colouring {
  name: string;
  colour(dark: boolean): Coloured;
}

const hues = [212, 28, 140, 275, 350, 60, 180, 310, 100, 245];

/** The ways to colour this map; those that its data allow. */
export function colourings({ map, index, probes }: { map: FeatureMap; index: MapIndex; probes: ProbesPage }): Colouring[] {
  const { features } = map;
  const density = (point: number): number => Math.log10(Math.max(index.density[features[point] ?? 0] ?? 0, 1e-12));
  const probe = (point: number): string => visibleText(probes[index.probe[features[point] ?? 0] ?? -1]?.name ?? '');
  const cluster = (point: number): string => ((map.cluster[point] ?? -1) < 0 ? '' : `cluster ${(map.cluster[point] ?? 0) + 1}`);
  const language = (point: number): string => index.topLang[features[point] ?? 0] ?? '';
  return [
    ...(probes.length === 0 ? [] : [{ name: 'probe', colour: (dark: boolean) => byName(features.length, probe, dark, 'no probe') }]),
    { name: 'cluster', colour: (dark) => byName(features.length, cluster, dark, 'between clusters') },
    { name: 'density', colour: (dark) => byNumber(features.length, density, dark) },
    { name: 'language', colour: (dark) => byName(features.length, language, dark, 'unknown') },
  ];
}

/** Powers of ten from dim to bright. */
function byNumber(points: number, valueOf: (point: number) => number, dark: boolean): Coloured {
  const values = Float64Array.from({ length: points }, (_, point) => valueOf(point));
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) [low, high] = [Math.min(low, value), Math.max(high, value)];
  const share = (value: number): number => (high > low ? (value - low) / (high - low) : 1);
  const fill = (part: number): string => `hsl(${250 - 225 * part} ${40 + 45 * part}% ${dark ? 42 + 24 * part : 62 - 14 * part}%)`;
  const decades = Array.from({ length: Math.max(Math.floor(high) - Math.ceil(low) + 1, 0) }, (_, step) => Math.ceil(low) + step);
  return { of: (point) => fill(share(values[point] ?? low)), isGrey: () => false, legend: decades.map((decade) => ({ name: `density 1e${decade}`, fill: fill(share(decade)) })) };
}

/** The most frequent names in colours of their own, the others and '' in grey. */
function byName(points: number, nameOf: (point: number) => string, dark: boolean, none: string): Coloured {
  const counts = new Map<string, number>();
  for (let point = 0; point < points; point++) counts.set(nameOf(point), (counts.get(nameOf(point)) ?? 0) + 1);
  const named = [...counts].filter(([name]) => name !== '').sort(([a, one], [b, other]) => other - one || (a < b ? -1 : 1));
  const grey = dark ? 'hsl(215 8% 50%)' : 'hsl(215 8% 60%)';
  const fills = new Map(named.slice(0, hues.length).map(([name], rank) => [name, `hsl(${hues[rank]} 62% ${dark ? 62 : 44}%)`]));
  const rest = points - [...fills.keys()].reduce((sum, name) => sum + (counts.get(name) ?? 0), 0);
  const legend = [...fills].map(([name, fill]) => ({ name: `${name} (${formatCount(counts.get(name) ?? 0)})`, fill }));
  if (rest > 0) legend.push({ name: `${named.length > hues.length ? 'others' : none} (${formatCount(rest)})`, fill: grey });
  return { of: (point) => fills.get(nameOf(point)) ?? grey, isGrey: (point) => !fills.has(nameOf(point)), legend };
}
