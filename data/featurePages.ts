// From a feature's firings to its page: density, histogram, languages, top examples and examples spread evenly over its
// values. Plain arithmetic on lists sorted by token, so that the result does not depend on how tokens were sharded.
import type { DashboardConfig } from '../schemas/config.ts';
import type { Example, FeaturePage } from '../schemas/dashboard.ts';
import { RandomStream } from '../schemas/random.ts';
import type { DocumentRow } from './tokenShard.ts';
import { documentIndexAt } from './tokenStream.ts';

/** The held-out text the features were read on. */
export interface ReadText {
  /** Held-out tokens, whole windows only. */
  tokens: Int32Array;
  contextLength: number;
  documents: DocumentRow[];
}

/** Where a feature fired: token index ascending, and the activation there. */
export interface Firings {
  tokens: Int32Array;
  values: Float32Array;
}

export type PageWithoutWeights = Omit<FeaturePage, 'logits' | 'nearest'>;

/** Everything on a feature's page but what needs the weights. */
export function featurePageOf(feature: number, firings: Firings, text: ReadText, config: DashboardConfig): PageWithoutWeights {
  const count = firings.values.length;
  const max = firings.values.reduce((a, b) => Math.max(a, b), 0);
  const total = firings.values.reduce((a, b) => a + b, 0);
  return {
    feature,
    density: rounded(count / text.tokens.length),
    count,
    maxActivation: rounded(max),
    meanActivation: rounded(count === 0 ? 0 : total / count),
    histogram: histogramOf(firings.values, 0, max, config.histogramBins),
    languages: languageShares(firings, text.documents),
    top: topExamples(firings, text, config).map((at) => exampleAt(at, firings, text, config)),
    intervals: count === 0 ? [] : intervalsOf(feature, max, firings, text, config),
  };
}

/** Counts of values in equal bins over [low, high]; the last bin includes `high`. */
export function histogramOf(values: ArrayLike<number>, low: number, high: number, bins: number): number[] {
  const counts = new Array<number>(bins).fill(0);
  if (high <= low) return counts;
  for (let index = 0; index < values.length; index++) {
    const bin = Math.floor(((values[index]! - low) / (high - low)) * bins);
    counts[Math.min(bins - 1, Math.max(0, bin))]!++;
  }
  return counts;
}

/** Four significant digits: enough to read, and a third of the bytes. */
export function rounded(value: number): number {
  return Number(value.toPrecision(4));
}

function languageShares({ tokens, values }: Firings, documents: DocumentRow[]): { lang: string; share: number }[] {
  const mass = new Map<string, number>();
  let total = 0;
  tokens.forEach((token, index) => {
    const { lang } = documents[documentIndexAt(documents, token)]!;
    mass.set(lang, (mass.get(lang) ?? 0) + values[index]!);
    total += values[index]!;
  });
  return [...mass.entries()]
    .sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))
    .slice(0, 6)
    .map(([lang, sum]) => ({ lang, share: rounded(sum / total) }));
}

/** Indices of the strongest firings, at most one a window, so that twenty examples are twenty places. */
function topExamples({ tokens, values }: Firings, { contextLength }: ReadText, { topExamples: wanted }: DashboardConfig): number[] {
  const best = new Map<number, number>();
  tokens.forEach((token, index) => {
    const window = Math.floor(token / contextLength);
    const known = best.get(window);
    if (known === undefined || values[index]! > values[known]!) best.set(window, index);
  });
  return [...best.values()].sort((a, b) => values[b]! - values[a]! || a - b).slice(0, wanted);
}

/** Intervals evenly spaced by value, highest first; examples of each are a seeded sample of all its firings. */
function intervalsOf(feature: number, max: number, firings: Firings, text: ReadText, config: DashboardConfig): FeaturePage['intervals'] {
  const members = Array.from({ length: config.intervals }, (): number[] => []);
  firings.values.forEach((value, index) => members[Math.min(config.intervals - 1, Math.floor((value / max) * config.intervals))]!.push(index));
  return members
    .map((inside, interval) => {
      const stream = new RandomStream(0, 'exportDashboard', 'interval', feature, interval);
      const chosen = stream.sampleWithoutReplacement(inside.length, Math.min(config.examplesPerInterval, inside.length));
      return {
        low: rounded((interval * max) / config.intervals),
        high: rounded(((interval + 1) * max) / config.intervals),
        count: inside.length,
        examples: Array.from(chosen, (position) => exampleAt(inside[position]!, firings, text, config)),
      };
    })
    .reverse();
}

function exampleAt(index: number, { tokens, values }: Firings, text: ReadText, config: DashboardConfig): Example {
  const token = tokens[index]!;
  const windowStart = token - (token % text.contextLength);
  const from = Math.max(windowStart, token - config.contextBefore);
  const to = Math.min(windowStart + text.contextLength, token + config.contextAfter + 1);
  const activations = new Array<number>(to - from).fill(0);
  for (let near = index; near >= 0 && tokens[near]! >= from; near--) activations[tokens[near]! - from] = rounded(values[near]!);
  for (let near = index + 1; near < tokens.length && tokens[near]! < to; near++) activations[tokens[near]! - from] = rounded(values[near]!);
  const { id, lang, source, file, line, start } = text.documents[documentIndexAt(text.documents, token)]!;
  return {
    value: rounded(values[index]!),
    centre: token - from,
    tokens: Array.from(text.tokens.subarray(from, to)),
    activations,
    document: { id, lang, source, file, line, offset: token - start },
  };
}
