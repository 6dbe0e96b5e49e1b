// From a feature's firings to its page: density, histogram, languages, and the chosen examples with their ablation effects.
// Plain arithmetic on lists sorted by token, so that the result does not depend on how tokens were sharded.
import type { DashboardConfig } from '../schemas/config.ts';
import type { Example, FeaturePage } from '../schemas/dashboard.ts';
import { contextOf, type ChosenFirings } from './exampleChoice.ts';
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

export type PageWithoutWeights = Omit<FeaturePage, 'logits' | 'nearest' | 'neurons' | 'correlatedNeurons' | 'correlatedFeatures'>;

/**
 * Everything on a feature's page that its firings tell.
 *
 * @param effects ablation effects, one a firing; of those that `ablatedFirings` names at least
 */
export function featurePageOf(feature: number, firings: Firings, chosen: ChosenFirings, effects: ArrayLike<number>, text: ReadText, config: DashboardConfig): PageWithoutWeights {
  const example = (index: number) => exampleAt(index, firings, effects, text, config);
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
    top: chosen.top.map(example),
    intervals: chosen.intervals.map(({ low, high, count: inside, examples }) => ({ low: rounded(low), high: rounded(high), count: inside, examples: examples.map(example) })),
    ablation: ablationOf(chosen.ablated.map((index) => effects[index]!)),
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
  // tokens ascend: a document's firings are next to each other
  for (let index = 0; index < tokens.length; ) {
    const { lang, start, length } = documents[documentIndexAt(documents, tokens[index]!)]!;
    let sum = 0;
    do sum += values[index++]!;
    while (index < tokens.length && tokens[index]! < start + length);
    mass.set(lang, (mass.get(lang) ?? 0) + sum);
    total += sum;
  }
  return [...mass.entries()]
    .sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))
    .slice(0, 6)
    .map(([lang, sum]) => ({ lang, share: rounded(sum / total) }));
}

function ablationOf(effects: number[]): FeaturePage['ablation'] {
  const mean = (of: (effect: number) => number) => rounded(effects.reduce((sum, effect) => sum + of(effect), 0) / Math.max(1, effects.length));
  return { mean: mean((effect) => effect), meanMagnitude: mean(Math.abs), helped: mean((effect) => (effect > 0 ? 1 : 0)) };
}

/** A hundred-thousandth of a nat: what is left below it is rounding. */
const effectDigits = 5;

function exampleAt(index: number, { tokens, values }: Firings, effects: ArrayLike<number>, text: ReadText, config: DashboardConfig): Example {
  const token = tokens[index]!;
  const { from, to } = contextOf(token, text, config);
  const activations = new Array<number>(to - from).fill(0);
  const onPredicted = new Array<number>(to - from).fill(0);
  const show = (near: number) => {
    const at = tokens[near]! - from;
    if (at >= 0) activations[at] = rounded(values[near]!);
    if (at + 1 < to - from) onPredicted[at + 1] = Number(effects[near]!.toFixed(effectDigits));
  };
  // the token before the first that is shown acts on that one, unless a window ends between them
  const first = from % text.contextLength === 0 ? from : from - 1;
  for (let near = index; near >= 0 && tokens[near]! >= first; near--) show(near);
  for (let near = index + 1; near < tokens.length && tokens[near]! < to; near++) show(near);
  const { id, lang, source, file, line, start } = text.documents[documentIndexAt(text.documents, token)]!;
  return {
    value: rounded(values[index]!),
    centre: token - from,
    tokens: Array.from(text.tokens.subarray(from, to)),
    activations,
    effects: onPredicted,
    document: { id, lang, source, file, line, offset: token - start },
  };
}
