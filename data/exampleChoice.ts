// Which firings of a feature are shown, and which its mean ablation effect is taken over. Decided on the list of all
// firings sorted by token, with seeded draws, so that it does not depend on how tokens were sharded.
import type { DashboardConfig } from '../schemas/config.ts';
import { RandomStream } from '../schemas/random.ts';
import { keepBestFew } from './bestFew.ts';
import type { Firings, ReadText } from './featurePages.ts';
import { documentIndexAt } from './tokenStream.ts';

/** Indices into a feature's firings. */
export interface ChosenFirings {
  /** Strongest first. */
  top: number[];
  /** Evenly spaced by value, highest first; `examples` are a sample of each interval's firings. */
  intervals: { low: number; high: number; count: number; examples: number[] }[];
  /** Ascending. */
  ablated: number[];
}

export function chooseFirings(feature: number, firings: Firings, text: ReadText, config: DashboardConfig): ChosenFirings {
  const { ablationFirings } = config;
  const { length } = firings.values;
  const draw = () => new RandomStream(0, 'exportDashboard', 'ablated', feature).sampleWithoutReplacement(length, ablationFirings);
  return {
    top: topFirings(firings, text, config),
    intervals: length === 0 ? [] : intervalsOf(feature, firings, config),
    ablated: length <= ablationFirings ? Array.from({ length }, (_, index) => index) : Array.from(draw()).sort((a, b) => a - b),
  };
}

/** The tokens shown around one: [from, to), within its window. */
export function contextOf(token: number, { contextLength }: ReadText, { contextBefore, contextAfter }: DashboardConfig): { from: number; to: number } {
  const windowStart = token - (token % contextLength);
  return { from: Math.max(windowStart, token - contextBefore), to: Math.min(windowStart + contextLength, token + contextAfter + 1) };
}

/** Firings whose ablation effects are wanted, ascending: those drawn, and those that act on a token that is shown. */
export function ablatedFirings({ top, intervals, ablated }: ChosenFirings, { tokens }: Firings, text: ReadText, config: DashboardConfig): number[] {
  const wanted = new Uint8Array(tokens.length);
  for (const index of ablated) wanted[index] = 1;
  for (const shown of [...top, ...intervals.flatMap(({ examples }) => examples)]) {
    const { from, to } = contextOf(tokens[shown]!, text, config);
    // a firing acts on the token after it; the one before `from` acts on the first that is shown, in the same window
    const first = from % text.contextLength === 0 ? from : from - 1;
    for (let index = shown; index >= 0 && tokens[index]! >= first; index--) if (tokens[index]! < to - 1) wanted[index] = 1;
    for (let index = shown + 1; index < tokens.length && tokens[index]! < to - 1; index++) wanted[index] = 1;
  }
  const indices: number[] = [];
  wanted.forEach((is, index) => is === 1 && indices.push(index));
  return indices;
}

/** The strongest firings, at most one a window (or a document), so that twenty examples are twenty places. */
function topFirings({ tokens, values }: Firings, { contextLength, documents }: ReadText, { topExamples, dedupeByDocument }: DashboardConfig): number[] {
  // tokens ascend, so that the firings of a place are next to each other
  const strongest = (indices: Int32Array, placeOf: (token: number) => number) => {
    const best = new Int32Array(indices.length);
    let [places, last] = [0, -1];
    for (let position = 0; position < indices.length; position++) {
      const index = indices[position]!;
      const place = placeOf(tokens[index]!);
      if (place !== last) best[places++] = index;
      else if (values[index]! > values[best[places - 1]!]!) best[places - 1] = index;
      last = place;
    }
    return best.subarray(0, places);
  };
  const byWindow = strongest(new Int32Array(tokens.length).map((_, index) => index), (token) => Math.floor(token / contextLength));
  const places = dedupeByDocument ? strongest(byWindow, (token) => documentIndexAt(documents, token)) : byWindow;
  const top: number[] = [];
  for (const place of places) keepBestFew(top, place, topExamples, (a, b) => values[a]! > values[b]!);
  return top;
}

function intervalsOf(feature: number, { values }: Firings, { intervals, examplesPerInterval }: DashboardConfig): ChosenFirings['intervals'] {
  const max = values.reduce((a, b) => Math.max(a, b), 0);
  const members = Array.from({ length: intervals }, (): number[] => []);
  values.forEach((value, index) => members[Math.min(intervals - 1, Math.floor((value / max) * intervals))]!.push(index));
  return members
    .map((inside, interval) => {
      const stream = new RandomStream(0, 'exportDashboard', 'interval', feature, interval);
      const chosen = stream.sampleWithoutReplacement(inside.length, Math.min(examplesPerInterval, inside.length));
      return { low: (interval * max) / intervals, high: ((interval + 1) * max) / intervals, count: inside.length, examples: Array.from(chosen, (position) => inside[position]!) };
    })
    .reverse();
}
