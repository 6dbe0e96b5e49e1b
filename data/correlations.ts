// Pearson correlation of a feature with the components of the hooked activation and with other features, from sums over
// tokens. Features are correlated by their firings alone, so that what is multiplied grows with the firings and not with the
// tokens times the square of the features.
import type { FeaturePage } from '../schemas/dashboard.ts';
import { keepBestFew } from './bestFew.ts';
import { rounded, type Firings } from './featurePages.ts';
import { inReadingOrder, type SparseActivations } from './firings.ts';

/** Sums over `tokens` tokens of x, y, x², y² and x · y → their correlation; 0 where one of them does not vary. */
export function pearson(tokens: number, sums: { x: number; y: number; xx: number; yy: number; xy: number }): number {
  return correlation(sums.xy / tokens, momentsOf(tokens, sums.x, sums.xx), momentsOf(tokens, sums.y, sums.yy));
}

interface Moments {
  mean: number;
  deviation: number;
}

function momentsOf(tokens: number, sum: number, squares: number): Moments {
  const mean = sum / tokens;
  return { mean, deviation: Math.sqrt(Math.max(0, squares / tokens - mean ** 2)) };
}

function correlation(meanProduct: number, x: Moments, y: Moments): number {
  const scale = x.deviation * y.deviation;
  return scale > 0 ? (meanProduct - x.mean * y.mean) / scale : 0;
}

/** Sums over all tokens of the hooked activation's components and of their squares, [d] each. */
export interface ComponentSums {
  tokens: number;
  sum: Float64Array;
  squares: Float64Array;
}

/**
 * The components that a feature goes with most, largest first.
 *
 * @param products Σ f · x, [d]
 */
export function correlatedNeurons({ values }: Firings, products: Float64Array, { tokens, sum, squares }: ComponentSums, shown: number): FeaturePage['correlatedNeurons'] {
  let [x, xx] = [0, 0];
  for (const value of values) {
    x += value;
    xx += value * value;
  }
  const found: FeaturePage['correlatedNeurons'] = [];
  if (x === 0) return found;
  products.forEach((xy, neuron) => keepBestFew(found, { neuron, pearson: pearson(tokens, { x, xx, xy, y: sum[neuron]!, yy: squares[neuron]! }) }, shown, (a, b) => a.pearson > b.pearson));
  return found.map(withFourDigits);
}

/** The largest components of a decoder row, by magnitude. */
export function alignedNeurons(row: Float32Array, shown: number): FeaturePage['neurons'] {
  const norm = row.reduce((sum, weight) => sum + Math.abs(weight), 0);
  const order = Array.from(row.keys()).sort((a, b) => Math.abs(row[b]!) - Math.abs(row[a]!) || a - b);
  return order.slice(0, shown).map((neuron) => ({ neuron, weight: rounded(row[neuron]!), share: rounded(norm === 0 ? 0 : Math.abs(row[neuron]!) / norm) }));
}

/** Sums of products alive at once, numbers: they stay in the second-level cache. */
const sumsAtOnce = 2 ** 17;
/** Each group of features costs a pass over all tokens: of very many features, so many are worth it. */
const featuresAtOnce = 64;

/** Activations of all features on some tokens, made ready for asking which of them fire together. */
export class CoFirings {
  private readonly rows: SparseActivations;
  private readonly tokens: number;
  /** Entries of token t are [starts[t], starts[t + 1]). */
  private readonly starts: Int32Array;
  private readonly moments: Moments[];

  /**
   * @param rows ascending by token
   * @param tokens how many tokens the rows are of, those without any firing too
   * @param tokensRead one above the last token there can be
   */
  constructor(rows: SparseActivations, tokens: number, tokensRead: number, features: number) {
    this.rows = rows;
    this.tokens = tokens;
    this.starts = new Int32Array(tokensRead + 1);
    const [sum, squares] = [new Float64Array(features), new Float64Array(features)];
    for (let entry = 0; entry < rows.token.length; entry++) {
      const [feature, value] = [rows.feature[entry]!, rows.value[entry]!];
      this.starts[rows.token[entry]! + 1]!++;
      sum[feature]! += value;
      squares[feature]! += value * value;
    }
    this.moments = Array.from(sum, (total, feature) => momentsOf(tokens, total, squares[feature]!));
    for (let token = 0; token < tokensRead; token++) this.starts[token + 1]! += this.starts[token]!;
  }

  /**
   * The features that fire with each of these more than by chance, largest correlation first.
   *
   * @param first feature whose firings come first in the list; the others follow it
   */
  correlated(first: number, firings: readonly Firings[], shown: number): FeaturePage['correlatedFeatures'][] {
    const features = this.moments.length;
    const atOnce = Math.max(featuresAtOnce, Math.floor(sumsAtOnce / features));
    const found: FeaturePage['correlatedFeatures'][] = [];
    for (let start = 0; start < firings.length; start += atOnce) {
      const group = firings.slice(start, start + atOnce);
      const products = this.products(group);
      group.forEach((_, row) => found.push(this.best(first + start + row, products.subarray(row * features, (row + 1) * features), shown)));
    }
    return found;
  }

  /** Σ f · g over the tokens, [features given · features]. In the order of the text, as the rows are in memory. */
  private products(firings: readonly Firings[]): Float64Array {
    const { starts, rows } = this;
    const { feature: others, value: otherValues } = rows;
    const features = this.moments.length;
    const products = new Float64Array(firings.length * features);
    const { feature, index, before } = inReadingOrder(firings, starts.length - 1);
    for (let token = 0; token < starts.length - 1; token++) {
      const [begin, end] = [starts[token]!, starts[token + 1]!];
      for (let firing = before[token]!; firing < before[token + 1]!; firing++) {
        const value = firings[feature[firing]!]!.values[index[firing]!]!;
        const row = feature[firing]! * features;
        for (let entry = begin; entry < end; entry++) products[row + others[entry]!]! += value * otherValues[entry]!;
      }
    }
    return products;
  }

  private best(feature: number, products: Float64Array, shown: number): FeaturePage['correlatedFeatures'] {
    const { moments, tokens } = this;
    const found: FeaturePage['correlatedFeatures'] = [];
    for (let other = 0; other < products.length; other++) {
      if (products[other] === 0 || other === feature) continue;
      const r = correlation(products[other]! / tokens, moments[feature]!, moments[other]!);
      if (r > 0) keepBestFew(found, { feature: other, pearson: r }, shown, (a, b) => a.pearson > b.pearson);
    }
    return found.map(withFourDigits);
  }
}

function withFourDigits<Entry extends { pearson: number }>(entry: Entry): Entry {
  return { ...entry, pearson: rounded(entry.pearson) };
}
