import { describe, expect, it } from 'vitest';
import { alignedNeurons, CoFirings, correlatedNeurons, pearson } from '../../data/correlations.ts';
import type { Firings } from '../../data/featurePages.ts';

/** Activations of three features on six tokens; the third never fires with the first. */
const dense = [
  [1, 2, 0],
  [0, 0, 1],
  [3, 1, 0],
  [0, 0, 0],
  [2, 3, 0],
  [0, 1, 2],
];
const firingsOf = (feature: number): Firings => {
  const tokens = [...dense.keys()].filter((token) => dense[token]![feature]! > 0);
  return { tokens: Int32Array.from(tokens), values: Float32Array.from(tokens, (token) => dense[token]![feature]!) };
};
const entries = dense.flatMap((row, token) => row.flatMap((value, feature) => (value > 0 ? [{ token, feature, value }] : [])));
const rows = { token: Int32Array.from(entries, ({ token }) => token), feature: Int32Array.from(entries, ({ feature }) => feature), value: Float32Array.from(entries, ({ value }) => value) };
/** By its definition, of two columns. */
const byDefinition = (x: number[], y: number[]) => {
  const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length;
  const deviations = (values: number[]) => values.map((value) => value - mean(values));
  const dot = (a: number[], b: number[]) => a.reduce((sum, value, index) => sum + value * b[index]!, 0);
  const [dx, dy] = [deviations(x), deviations(y)];
  return dot(dx, dy) / Math.sqrt(dot(dx, dx) * dot(dy, dy));
};
const column = (feature: number) => dense.map((row) => row[feature]!);

describe('features that fire together', () => {
  it('are correlated as by definition, over tokens on which neither fires too', () => {
    const [first] = new CoFirings(rows, 6, 6, 3).correlated(0, [firingsOf(0)], 5)[0]!;
    expect(first!.feature).toBe(1);
    expect(first!.pearson).toBeCloseTo(byDefinition(column(0), column(1)), 3);
  });

  it('leave out the feature itself and what goes with it less than by chance', () => {
    const coFirings = new CoFirings(rows, 6, 6, 3);
    expect(byDefinition(column(1), column(2))).toBeLessThan(0);
    expect(coFirings.correlated(1, [firingsOf(1)], 5)[0]!.map(({ feature }) => feature)).toEqual([0]);
    expect(coFirings.correlated(2, [firingsOf(2)], 5)[0]!).toEqual([]);
  });

  it('are the same whichever features are asked for together', () => {
    const coFirings = new CoFirings(rows, 6, 6, 3);
    const together = coFirings.correlated(0, [0, 1, 2].map(firingsOf), 5);
    expect(together).toEqual([0, 1, 2].map((feature) => coFirings.correlated(feature, [firingsOf(feature)], 5)[0]!));
    expect(together).toEqual([0, 1, 2].map((feature) => new CoFirings(rows, 6, 6, 3).correlated(feature, [firingsOf(feature)], 5)[0]!));
  });

  it('count on the given tokens only', () => {
    const half = { token: rows.token.filter((token) => token < 3), feature: rows.feature.filter((_, entry) => rows.token[entry]! < 3), value: rows.value.filter((_, entry) => rows.token[entry]! < 3) };
    const [first] = new CoFirings(half, 3, 6, 3).correlated(0, [firingsOf(0)], 5)[0]!;
    expect(first!.pearson).toBeCloseTo(byDefinition(column(0).slice(0, 3), column(1).slice(0, 3)), 3);
  });
});

describe('neurons', () => {
  const neurons = [
    [1, 0.5],
    [0, 0.5],
    [3, -1],
    [0, 0.25],
    [2, 0],
    [0, 0.5],
  ];
  const of = (neuron: number) => neurons.map((row) => row[neuron]!);
  const total = (values: number[]) => values.reduce((a, b) => a + b, 0);
  const components = { tokens: 6, sum: Float64Array.from([0, 1], (neuron) => total(of(neuron))), squares: Float64Array.from([0, 1], (neuron) => total(of(neuron).map((value) => value ** 2))) };
  const products = Float64Array.from([0, 1], (neuron) => total(of(neuron).map((value, token) => value * column(0)[token]!)));

  it('are correlated as by definition, largest first', () => {
    const found = correlatedNeurons(firingsOf(0), products, components, 5);
    expect(found.map(({ neuron }) => neuron)).toEqual([0, 1]);
    expect(found[0]!.pearson).toBe(1);
    expect(found[1]!.pearson).toBeCloseTo(byDefinition(column(0), of(1)), 3);
    expect(correlatedNeurons(firingsOf(0), products, components, 1)).toHaveLength(1);
  });

  it('are none for a feature that never fired', () => {
    expect(correlatedNeurons({ tokens: new Int32Array(), values: new Float32Array() }, new Float64Array(2), components, 5)).toEqual([]);
  });

  it('of a decoder row are its largest components by magnitude, as shares of all of them', () => {
    expect(alignedNeurons(Float32Array.from([0.5, -1, 0, 0.5]), 2)).toEqual([{ neuron: 1, weight: -1, share: 0.5 }, { neuron: 0, weight: 0.5, share: 0.25 }]);
  });
});

it('what does not vary is correlated with nothing', () => {
  expect(pearson(4, { x: 4, xx: 4, y: 1, yy: 1, xy: 1 })).toBe(0);
});
