// Pearson correlation of a feature with the components of the hooked activation and with other features, from sums over
// tokens. Features are correlated by their firings alone: what never fires together is never looked at, so that the work
// grows with the firings and not with the square of the features.
import type { FeaturePage } from '../schemas/dashboard.ts';
import { rounded, type Firings } from './featurePages.ts';
import type { SparseActivations } from './firings.ts';

/** Sums over `tokens` tokens of x, y, x², y² and x · y → their correlation; 0 where one of them does not vary. */
export function pearson(tokens: number, sums: { x: number; y: number; xx: number; yy: number; xy: number }): number {
  const covariance = sums.xy / tokens - (sums.x / tokens) * (sums.y / tokens);
  const spread = (sum: number, squares: number) => Math.sqrt(Math.max(0, squares / tokens - (sum / tokens) ** 2));
  const scale = spread(sums.x, sums.xx) * spread(sums.y, sums.yy);
  return scale > 0 ? covariance / scale : 0;
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
  const all = Array.from(products, (xy, neuron) => ({ neuron, pearson: pearson(tokens, { x, xx, xy, y: sum[neuron]!, yy: squares[neuron]! }) }));
  return x === 0 ? [] : all.sort((a, b) => b.pearson - a.pearson || a.neuron - b.neuron).slice(0, shown).map(withFourDigits);
}

/** The largest components of a decoder row, by magnitude. */
export function alignedNeurons(row: Float32Array, shown: number): FeaturePage['neurons'] {
  const norm = row.reduce((sum, weight) => sum + Math.abs(weight), 0);
  const order = Array.from(row.keys()).sort((a, b) => Math.abs(row[b]!) - Math.abs(row[a]!) || a - b);
  return order.slice(0, shown).map((neuron) => ({ neuron, weight: rounded(row[neuron]!), share: rounded(norm === 0 ? 0 : Math.abs(row[neuron]!) / norm) }));
}

/** Activations of all features on some tokens, made ready for asking which of them fire together. */
export class CoFirings {
  private readonly rows: SparseActivations;
  private readonly tokens: number;
  /** Entries of token t are [starts[t], starts[t + 1]). */
  private readonly starts: Int32Array;
  private readonly sum: Float64Array;
  private readonly squares: Float64Array;
  private readonly products: Float64Array;

  /**
   * @param rows ascending by token
   * @param tokens how many tokens the rows are of, those without any firing too
   * @param tokensRead one above the last token there can be
   */
  constructor(rows: SparseActivations, tokens: number, tokensRead: number, features: number) {
    this.rows = rows;
    this.tokens = tokens;
    this.starts = new Int32Array(tokensRead + 1);
    this.sum = new Float64Array(features);
    this.squares = new Float64Array(features);
    this.products = new Float64Array(features);
    for (const token of rows.token) this.starts[token + 1]!++;
    for (let token = 0; token < tokensRead; token++) this.starts[token + 1]! += this.starts[token]!;
    rows.feature.forEach((feature, entry) => {
      const value = rows.value[entry]!;
      this.sum[feature]! += value;
      this.squares[feature]! += value * value;
    });
  }

  /** The features that fire with this one more than by chance, largest correlation first. */
  correlated(feature: number, firings: Firings, shown: number): FeaturePage['correlatedFeatures'] {
    const { rows, products } = this;
    const touched: number[] = [];
    firings.tokens.forEach((token, index) => {
      const value = firings.values[index]!;
      for (let entry = this.starts[token]!; entry < this.starts[token + 1]!; entry++) {
        const other = rows.feature[entry]!;
        if (products[other] === 0) touched.push(other);
        products[other]! += value * rows.value[entry]!;
      }
    });
    const found: FeaturePage['correlatedFeatures'] = [];
    for (const other of touched) {
      if (other !== feature) found.push({ feature: other, pearson: this.pearsonOf(feature, other) });
    }
    for (const other of touched) products[other] = 0;
    return found.filter(({ pearson: r }) => r > 0).sort((a, b) => b.pearson - a.pearson || a.feature - b.feature).slice(0, shown).map(withFourDigits);
  }

  private pearsonOf(feature: number, other: number): number {
    const { sum, squares, products } = this;
    return pearson(this.tokens, { x: sum[feature]!, xx: squares[feature]!, y: sum[other]!, yy: squares[other]!, xy: products[other]! });
  }
}

function withFourDigits<Entry extends { pearson: number }>(entry: Entry): Entry {
  return { ...entry, pearson: rounded(entry.pearson) };
}
