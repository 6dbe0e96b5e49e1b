// The map of features: rows that point the same way come to lie together, the same bytes each time, and clusters are what
// DBSCAN's definition says.
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import * as tf from '@tensorflow/tfjs-core';
import { clustersOf, layoutRows, type Layout } from '../../model/featureMap.ts';
import { RandomStream } from '../../schemas/random.ts';
import { loadBackend } from '../../workers/tensorflow.ts';

beforeAll(() => loadBackend({}));

/** Rows around a few directions: row n belongs to direction n mod `directions`. */
function bundles(count: number, directions: number, d: number): tf.Tensor2D {
  const stream = new RandomStream(7, 'bundles');
  const centres = Array.from({ length: directions * d }, () => stream.normal());
  return tf.tensor2d(Float32Array.from({ length: count * d }, (_, at) => centres[(Math.floor(at / d) % directions) * d + (at % d)]! + 0.25 * stream.normal()), [count, d]);
}
const nothing = async (): Promise<void> => undefined;
const layout = (rows: tf.Tensor2D): Promise<Layout> => layoutRows(rows, new RandomStream(0, 'map'), nothing);

describe('the layout', () => {
  test('rows that point the same way are each other’s neighbours, and make one cluster', async () => {
    const directions = 4;
    const placed = await layout(bundles(240, directions, 32));
    const distance = (a: number, b: number): number => Math.hypot(placed.x[a]! - placed.x[b]!, placed.y[a]! - placed.y[b]!);
    for (let row = 0; row < 240; row++) {
      const others = Array.from({ length: 240 }, (_, other) => other).filter((other) => other !== row).sort((a, b) => distance(row, a) - distance(row, b));
      expect(others.slice(0, 5).filter((other) => other % directions === row % directions).length).toBeGreaterThanOrEqual(4);
    }
    const clusters = clustersOf(placed);
    const mixed = new Map<number, Set<number>>();
    clusters.forEach((cluster, row) => mixed.set(cluster, (mixed.get(cluster) ?? new Set()).add(row % directions)));
    mixed.delete(-1);
    expect([...mixed.values()].every((bundle) => bundle.size === 1)).toBe(true);
    expect(clusters.filter((cluster) => cluster >= 0).length).toBeGreaterThan(200);
  });

  test('is the same each time, and another for another stream', async () => {
    const rows = bundles(60, 3, 16);
    const first = await layout(rows);
    expect(await layout(rows)).toEqual(first);
    expect(await layoutRows(rows, new RandomStream(1, 'map'), nothing)).not.toEqual(first);
  });

  test('does not depend on the length of a row', async () => {
    const rows = bundles(60, 3, 16);
    expect(await layout(tf.mul(rows, 4))).toEqual(await layout(rows));
  });

  test.each([0, 1, 3, 4, 5, 16, 17])('%i rows have that many places', async (count) => {
    const { x, y } = await layout(tf.slice2d(bundles(Math.max(count, 1), 2, 8), [0, 0], [count, 8]));
    expect([x.length, y.length, x.every(Number.isFinite), y.every(Number.isFinite)]).toEqual([count, count, true, true]);
  });

  test('stops where the caller says so', async () => {
    const stop = new Error('stop');
    await expect(layoutRows(bundles(60, 3, 16), new RandomStream(0, 'map'), () => Promise.reject(stop))).rejects.toBe(stop);
  });
});

describe('clusters', () => {
  test('two dense groups and a point between them: two clusters, the larger first, and −1', () => {
    const ring = (count: number, cx: number): [number, number][] => Array.from({ length: count }, (_, at) => [cx + Math.cos((2 * Math.PI * at) / count), Math.sin((2 * Math.PI * at) / count)]);
    const points = [...ring(12, 0), ...ring(20, 100), [50, 0] as [number, number]];
    const clusters = clustersOf({ x: points.map(([x]) => x), y: points.map(([, y]) => y) });
    expect(clusters.slice(0, 12)).toEqual(new Array(12).fill(1));
    expect(clusters.slice(12, 32)).toEqual(new Array(20).fill(0));
    expect(clusters[32]).toBe(-1);
  });

  test('the order of the points does not change which of them lie alone', () => {
    const places = fc.array(fc.tuple(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 40 })), { minLength: 2, maxLength: 60 });
    const alone = (points: readonly (readonly [number, number])[]): string[] => {
      const clusters = clustersOf({ x: points.map(([x]) => x), y: points.map(([, y]) => y) });
      return points.filter((_, at) => clusters[at] === -1).map((point) => JSON.stringify(point)).sort();
    };
    fc.assert(
      fc.property(places, (points) => {
        expect(alone([...points].reverse())).toEqual(alone(points));
      }),
    );
  });
});
