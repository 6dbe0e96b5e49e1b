// Decoder rows in two dimensions (SPEC §6): UMAP over each row's nearest rows by cosine, and clusters of what came to lie
// together. The neighbours are exact, by matrix products; only the layout itself is UMAP's.
import * as tf from '@tensorflow/tfjs-core';
import { UMAP } from 'umap-js';
import type { RandomStream } from '../schemas/random.ts';
import { matMul } from './kernels.ts';

export interface Layout {
  x: number[];
  y: number[];
}

const neighbours = 15;
const minDist = 0.05;
/** Rows whose similarities to all others are held at once. */
const rowsAtOnce = 512;

/**
 * Places for the rows of a matrix [rows, d].
 *
 * @param onStep awaited now and then, with the share that is done; may throw to stop.
 */
export async function layoutRows(rows: tf.Tensor2D, stream: RandomStream, onStep: (share: number) => Promise<void>): Promise<Layout> {
  const [count] = rows.shape;
  // too few rows for a graph of neighbours: there is nothing to lay out
  if (count <= 3) return { x: Array.from({ length: count }, (_, row) => row), y: new Array<number>(count).fill(0) };
  const { indices, distances } = await nearestRows(rows, Math.min(neighbours, count - 1), onStep);
  const umap = new UMAP({ nComponents: 2, nNeighbors: Math.min(neighbours, count - 1), minDist, random: () => stream.uniform() });
  umap.setPrecomputedKNN(indices, distances);
  // with neighbours given, it reads how many rows there are and nothing else of them
  const epochs = umap.initializeFit(indices.map(() => [0]));
  for (let epoch = 0; epoch < epochs; epoch++) {
    umap.step();
    if (epoch % 8 === 0) await onStep(0.3 + (0.7 * epoch) / epochs);
  }
  const embedding = umap.getEmbedding();
  return { x: embedding.map(([x]) => rounded(x!)), y: embedding.map(([, y]) => rounded(y!)) };
}

/** Each row's nearest rows by cosine distance, itself first, as UMAP wants them. */
async function nearestRows(rows: tf.Tensor2D, count: number, onStep: (share: number) => Promise<void>): Promise<{ indices: number[][]; distances: number[][] }> {
  const [total] = rows.shape;
  const unit = tf.tidy(() => tf.div<tf.Tensor2D>(rows, tf.maximum(tf.norm(rows, 2, 1, true), 1e-12)));
  const indices: number[][] = [];
  const distances: number[][] = [];
  for (let start = 0; start < total; start += rowsAtOnce) {
    const size = Math.min(rowsAtOnce, total - start);
    const best = tf.tidy(() => {
      const { values, indices: found } = tf.topk(matMul(tf.slice2d(unit, [start, 0], [size, -1]), unit, false, true), Math.min(count + 1, total), true);
      return { values: values.dataSync() as Float32Array, found: found.dataSync() as Int32Array };
    });
    const width = Math.min(count + 1, total);
    for (let row = 0; row < size; row++) {
      // a row's twin may come before the row itself
      const others = Array.from({ length: width }, (_, column) => column).filter((column) => best.found[row * width + column] !== start + row).slice(0, count - 1);
      indices.push([start + row, ...others.map((column) => best.found[row * width + column]!)]);
      distances.push([0, ...others.map((column) => Math.max(0, 1 - best.values[row * width + column]!))]);
    }
    await onStep((0.3 * (start + size)) / total);
  }
  unit.dispose();
  return { indices, distances };
}

/** Four decimals: finer than any screen. */
function rounded(value: number): number {
  return Math.round(value * 1e4) / 1e4;
}

const coreNeighbours = 5;
/** Reach in units of the median distance to the `coreNeighbours`-th neighbour. */
const reach = 1.6;

/**
 * Clusters of a layout by density (DBSCAN): points with at least five others within reach join, what lies at their rim
 * goes with the nearest of them, and what lies alone is −1. Clusters are numbered from the largest.
 */
export function clustersOf({ x, y }: Layout): number[] {
  const count = x.length;
  if (count <= coreNeighbours) return new Array<number>(count).fill(-1);
  const distanceSquared = (a: number, b: number): number => (x[a]! - x[b]!) ** 2 + (y[a]! - y[b]!) ** 2;
  const core = new Array<boolean>(count).fill(false);
  const kth = Float64Array.from({ length: count }, (_, point) => kthNearest(point, count, distanceSquared));
  const within = Float64Array.from(kth).sort()[Math.floor(count / 2)]! * reach ** 2;
  kth.forEach((distance, point) => (core[point] = distance <= within));
  const joined = new UnionFind(count);
  for (let a = 0; a < count; a++) {
    if (!core[a]) continue;
    for (let b = a + 1; b < count; b++) if (core[b] && distanceSquared(a, b) <= within) joined.join(a, b);
  }
  const roots = core.map((isCore, point) => (isCore ? joined.root(point) : rimOf(point, core, within, distanceSquared, joined)));
  const sizes = new Map<number, number>();
  for (const root of roots) if (root >= 0) sizes.set(root, (sizes.get(root) ?? 0) + 1);
  const ranks = new Map([...sizes].sort(([a, one], [b, other]) => other - one || a - b).map(([root], rank) => [root, rank]));
  return roots.map((root) => ranks.get(root) ?? -1);
}

/** Squared distance to the `coreNeighbours`-th nearest other point. */
function kthNearest(point: number, count: number, distanceSquared: (a: number, b: number) => number): number {
  const nearest = new Array<number>(coreNeighbours).fill(Infinity);
  for (let other = 0; other < count; other++) {
    const distance = distanceSquared(point, other);
    if (other === point || distance >= nearest[coreNeighbours - 1]!) continue;
    let place = coreNeighbours - 1;
    for (; place > 0 && nearest[place - 1]! > distance; place--) nearest[place] = nearest[place - 1]!;
    nearest[place] = distance;
  }
  return nearest[coreNeighbours - 1]!;
}

function rimOf(point: number, core: readonly boolean[], within: number, distanceSquared: (a: number, b: number) => number, joined: UnionFind): number {
  let nearest = -1;
  let least = within;
  core.forEach((isCore, other) => {
    if (!isCore) return;
    const distance = distanceSquared(point, other);
    if (distance > least || (distance === least && nearest >= 0)) return;
    least = distance;
    nearest = other;
  });
  return nearest < 0 ? -1 : joined.root(nearest);
}

class UnionFind {
  readonly #parent: Int32Array;

  constructor(size: number) {
    this.#parent = Int32Array.from({ length: size }, (_, element) => element);
  }

  root(element: number): number {
    let at = element;
    while (this.#parent[at] !== at) at = this.#parent[at] = this.#parent[this.#parent[at]!]!;
    return at;
  }

  /** The smaller root stays, so that the order of joining cannot matter. */
  join(a: number, b: number): void {
    const [one, other] = [this.root(a), this.root(b)];
    this.#parent[Math.max(one, other)] = Math.min(one, other);
  }
}
