import { describe, expect, it } from 'vitest';
import { curveTable, finalMean, largestDifference, outsideSpread, type Curves } from '../../bench/parityCurves.ts';

/** One curve a seed: MSE as given at steps 50, 100, …; L0 and alive the same everywhere. */
const curves = (...mse: number[][]): Curves => mse.map((values) => values.map((value, index) => ({ step: 50 * (index + 1), mse: value, l0: 20, alive: 512 })));

describe('curves of three seeds on two sides', () => {
  it('agree where their means differ by no more than the seeds do', () => {
    const ours = curves([1, 0.5], [1.25, 0.5], [1.5, 0.5]);
    expect(outsideSpread(ours, curves([1.5, 0.5], [1.75, 0.5], [2, 0.5]), 'mse')).toEqual([]);
    expect(outsideSpread(ours, ours, 'l0')).toEqual([]);
  });

  it('disagree at the steps where they differ by more, also where seeds do not differ at all', () => {
    const ours = curves([1, 0.5], [1.25, 0.5], [1.5, 0.5]);
    expect(outsideSpread(ours, curves([1.75, 0.5], [2, 0.5], [2.25, 0.5]), 'mse')).toEqual([50]);
    expect(outsideSpread(ours, curves([1, 0.75], [1.25, 0.75], [1.5, 0.75]), 'mse')).toEqual([100]);
  });

  it('are compared seed by seed up to a step', () => {
    const ours = curves([1, 9], [2, 9]);
    const peers = curves([1, 1], [4, 1]);
    expect(largestDifference(ours, peers, 'mse', 50)).toBe(0.5);
    expect(largestDifference(ours, peers, 'mse', 100)).toBe(8);
    expect(finalMean(peers, 'mse')).toBe(1);
  });

  it('are printed as means with the smallest and largest of the seeds', () => {
    const [head, first] = curveTable(curves([1], [2]), curves([1.5], [1.5]));
    expect(head).toMatch(/^step +mse, ours +reference +l0, ours/);
    expect(first).toMatch(/^50 +1\.500 \(1\.000–2\.000\) +1\.500 \(1\.500–1\.500\) +20\.00/);
  });
});
