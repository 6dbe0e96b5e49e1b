import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { evaluationOf } from '../../data/evaluation.ts';
import { chooseFirings } from '../../data/exampleChoice.ts';
import { featurePageOf } from '../../data/featurePages.ts';
import { dashboardConfig } from '../../schemas/config.ts';

const matrix = z.array(z.array(z.number()));
const oracle = z
  .object({
    x: matrix,
    xHat: matrix,
    f: matrix,
    expected: z.object({ l0: z.number(), l1: z.number(), mse: z.number(), fvu: z.number(), density: z.array(z.number()), fired: z.array(z.int()) }),
    losses: z.array(z.object({ clean: z.number(), reconstructed: z.number(), zero: z.number(), mean: z.number(), lossRecovered: z.number() })),
  })
  .parse(JSON.parse(readFileSync(new URL('../oracle/metrics.json', import.meta.url), 'utf8')));

const total = (values: number[]) => values.reduce((a, b) => a + b, 0);
const { x, xHat, f } = oracle;
const activations = {
  tokens: x.length,
  l0: f.flat().filter((value) => value > 0).length,
  l1: total(f.flat()),
  squaredError: total(x.flatMap((row, token) => row.map((value, column) => (value - xHat[token]![column]!) ** 2))),
  squares: total(x.flat().map((value) => value ** 2)),
};
const columnSums = Float64Array.from(x[0]!.keys(), (column) => total(x.map((row) => row[column]!)));

it.each(oracle.losses)('L0, L1, MSE, FVU, the four losses and loss recovered equal those worked by hand (clean $clean, reconstructed $reconstructed)', (losses) => {
  const { tokens } = activations;
  const sums = { ...activations, clean: losses.clean * tokens, reconstructed: losses.reconstructed * tokens, zero: losses.zero * tokens, mean: losses.mean * tokens };
  const evaluation = evaluationOf(sums, columnSums);
  for (const name of ['l0', 'l1', 'mse', 'fvu'] as const) expect(evaluation[name], name).toBeCloseTo(oracle.expected[name], 10);
  for (const name of ['clean', 'reconstructed', 'zero', 'mean'] as const) expect(evaluation.losses[name], name).toBeCloseTo(losses[name], 12);
  expect(evaluation.lossRecovered).toBeCloseTo(losses.lossRecovered, 10);
});

it('the density of a feature is the share of tokens on which it fired, by hand', () => {
  const text = { tokens: new Int32Array(x.length), contextLength: x.length, documents: [{ id: 'a', split: 'heldOut', start: 0, length: x.length, lang: 'en', source: 'hand', file: 'a', line: 1 } as const] };
  f[0]!.forEach((_, feature) => {
    const tokens = [...f.keys()].filter((token) => f[token]![feature]! > 0);
    const firings = { tokens: Int32Array.from(tokens), values: Float32Array.from(tokens, (token) => f[token]![feature]!) };
    const page = featurePageOf(feature, firings, chooseFirings(feature, firings, text, dashboardConfig.parse({})), firings.values, text, dashboardConfig.parse({}));
    expect(page.count).toBe(oracle.expected.fired[feature]);
    expect(page.density).toBeCloseTo(oracle.expected.density[feature]!, 4);
  });
});
