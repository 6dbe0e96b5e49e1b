// Resampling of dead neurons (Bricken et al. 2023, appendix; SPEC §4) on plain arrays: which source vectors are drawn,
// what the dead features become, and the record that lets anyone check it.
import type { ResamplingConfig } from '../schemas/config.ts';
import type { SaeArrays } from './sae.ts';

export interface Replacement {
  feature: number;
  /** Index of the vector drawn, among the candidates. */
  candidate: number;
  encoderNormBefore: number;
  encoderNormAfter: number;
  decoderNormBefore: number;
}

/** Features that did not fire in the `window` steps before `step`, ascending. `lastFired[j]` is the last step (0-based) on which j fired, −1 for never. */
export function deadFeatures(lastFired: Int32Array, step: number, window: number): number[] {
  const dead: number[] = [];
  lastFired.forEach((last, feature) => {
    if (last < step - window) dead.push(feature);
  });
  return dead;
}

/**
 * Draws `count` candidates without replacement with p ∝ loss²: for each uniform in turn, the first remaining candidate
 * whose cumulative weight exceeds u · (remaining total). Candidates of zero loss are never drawn.
 *
 * @returns indices in order of drawing; fewer than asked when candidates run out
 */
export function drawByLoss(losses: Float32Array, uniforms: Iterable<number>): number[] {
  const tree = new CumulativeWeights(losses);
  const drawn: number[] = [];
  for (const uniform of uniforms) {
    const index = tree.take(uniform);
    if (index === undefined) break;
    drawn.push(index);
  }
  return drawn;
}

/**
 * The losses by which candidates are drawn: 0, so that it never is, for a vector that gives no direction (x = b_d where it
 * is centred, 0 where it is not, as a layer behind a ReLU has them). A decoder row of zeros has no unit norm to go back to.
 *
 * @param candidates [n · d]
 */
export function drawableLosses(losses: Float32Array, candidates: Float32Array, { b_dec }: Pick<SaeArrays, 'b_dec'>, { direction }: Pick<ResamplingConfig, 'direction'>): Float32Array {
  const d = b_dec.length;
  return losses.map((loss, candidate) => {
    for (let column = 0; column < d; column++) if (candidates[candidate * d + column] !== (direction === 'centred' ? b_dec[column] : 0)) return loss;
    return 0;
  });
}

/**
 * Changes `weights` and `moments` in place: gives each dead feature the direction of its drawn candidate: decoder row of unit norm, encoder column of
 * `encoderNormScale` × the alive columns' mean norm, encoder bias 0, Adam's moments of exactly these entries 0.
 *
 * @param candidates [n · d]
 * @param draws candidate of each dead feature, in the order of `dead`; each must give a direction (drawableLosses)
 */
export function resample(
  weights: SaeArrays,
  moments: { m: SaeArrays; v: SaeArrays },
  dead: number[],
  candidates: Float32Array,
  draws: number[],
  config: Pick<ResamplingConfig, 'direction' | 'encoderNormScale'>,
): Replacement[] {
  const d = weights.b_dec.length;
  const features = weights.b_enc.length;
  const norms = encoderNorms(weights.W_enc, d, features);
  const isDead = new Uint8Array(features);
  for (const feature of dead) isDead[feature] = 1;
  const alive = norms.filter((_, feature) => isDead[feature] === 0);
  // with nothing alive there is no norm to follow: 1, the scale of a fresh unit row
  const meanAliveNorm = alive.length === 0 ? 1 : alive.reduce((a, b) => a + b, 0) / alive.length;
  const encoderNorm = config.encoderNormScale * meanAliveNorm;

  return draws.map((candidate, order) => {
    const feature = dead[order]!;
    const direction = unitDirection(candidates.subarray(candidate * d, (candidate + 1) * d), config.direction === 'centred' ? weights.b_dec : undefined);
    let decoderSquares = 0;
    for (let column = 0; column < d; column++) decoderSquares += weights.W_dec[feature * d + column]! ** 2;
    for (let column = 0; column < d; column++) {
      weights.W_dec[feature * d + column] = direction[column]!;
      weights.W_enc[column * features + feature] = direction[column]! * encoderNorm;
    }
    weights.b_enc[feature] = 0;
    for (const moment of [moments.m, moments.v]) {
      moment.W_dec.fill(0, feature * d, (feature + 1) * d);
      for (let column = 0; column < d; column++) moment.W_enc[column * features + feature] = 0;
      moment.b_enc[feature] = 0;
    }
    return { feature, candidate, encoderNormBefore: norms[feature]!, encoderNormAfter: encoderNorm, decoderNormBefore: Math.sqrt(decoderSquares) };
  });
}

function unitDirection(vector: Float32Array, centre?: Float32Array): Float64Array {
  const direction = Float64Array.from(vector, (value, index) => value - (centre?.[index] ?? 0));
  const norm = Math.sqrt(direction.reduce((total, value) => total + value * value, 0));
  return direction.map((value) => value / norm);
}

function encoderNorms(encoder: Float32Array, d: number, features: number): Float64Array {
  const squares = new Float64Array(features);
  for (let row = 0; row < d; row++) for (let feature = 0; feature < features; feature++) squares[feature]! += encoder[row * features + feature]! ** 2;
  return squares.map(Math.sqrt);
}

/** A Fenwick tree over loss²: drawing and removing cost log n, so that 819,200 candidates and thousands of dead features take milliseconds. */
class CumulativeWeights {
  private readonly sums: Float64Array;
  private readonly weights: Float64Array;
  private readonly top: number;
  private left: number;

  constructor(losses: Float32Array) {
    this.weights = Float64Array.from(losses, (loss) => loss * loss);
    this.sums = new Float64Array(losses.length + 1);
    this.left = 0;
    this.weights.forEach((weight, index) => {
      this.add(index, weight);
      if (weight > 0) this.left++;
    });
    this.top = 2 ** Math.floor(Math.log2(Math.max(1, losses.length)));
  }

  take(uniform: number): number | undefined {
    if (this.left === 0) return undefined;
    let remaining = uniform * this.total();
    let position = 0;
    for (let stride = this.top; stride > 0; stride >>= 1) {
      const next = position + stride;
      if (next < this.sums.length && this.sums[next]! <= remaining) {
        position = next;
        remaining -= this.sums[next]!;
      }
    }
    const index = this.nearestWithWeight(position);
    this.add(index, -this.weights[index]!);
    this.weights[index] = 0;
    this.left--;
    return index;
  }

  /** Rounding can land on a removed candidate or past the end: the next one that still has weight is taken, else the last. */
  private nearestWithWeight(position: number): number {
    for (let index = position; index < this.weights.length; index++) if (this.weights[index]! > 0) return index;
    let index = Math.min(position, this.weights.length) - 1;
    while (this.weights[index] === 0) index--;
    return index;
  }

  private total(): number {
    let total = 0;
    for (let index = this.weights.length; index > 0; index -= index & -index) total += this.sums[index]!;
    return total;
  }

  private add(index: number, weight: number): void {
    for (let node = index + 1; node < this.sums.length; node += node & -node) this.sums[node]! += weight;
  }
}
