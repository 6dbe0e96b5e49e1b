// 500 steps of every implementation of the SAE's training step against PyTorch in float64. Weights and batches are drawn
// here as test/oracle/sae_steps.py draws them; the files hold results only.
import { beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { initialSae } from '../../model/sae.ts';
import { RandomStream } from '../../schemas/random.ts';
import { openOracle, relativeError, type Oracle } from './oracle.ts';
import { zeroSaeArrays, type SaeTrainingArrays } from '../../model/saeTrainer.ts';
import { trainers } from './saeTrainers.ts';

const about = z.looseObject({
  d: z.int(),
  features: z.int(),
  convention: z.enum(['mean', 'sum']),
  l1Coefficient: z.number(),
  warmup: z.int(),
  decay: z.int(),
  seed: z.int(),
  steps: z.int(),
  batch: z.int(),
  hidden: z.int(),
  adam: z.object({ learningRate: z.number(), beta1: z.number(), beta2: z.number(), epsilon: z.number() }),
});
type About = z.infer<typeof about>;

/** Shares of the largest value. PyTorch in float32 strays from float64 by 2e-7 and 3e-6 (`float32Deviation` in the files), tensors by 2e-7, 5e-6 and 8e-6. L0 is equal. */
const tolerances = { curves: 2e-6, weights: 2e-5, moments: 2e-5 };

const cases = ['a', 'b', 'c', 'd'] as const;
const names = ['W_enc', 'b_enc', 'W_dec', 'b_dec'] as const;

let oracles: Record<(typeof cases)[number], { oracle: Oracle; setting: About }>;
beforeAll(async () => {
  const open = async (letter: string) => {
    const oracle = await openOracle(`sae-steps-${letter}.safetensors`);
    return { oracle, setting: about.parse(oracle.about) };
  };
  oracles = { a: await open('a'), b: await open('b'), c: await open('c'), d: await open('d') };
});

describe.each(trainers)('$name', ({ open }) => {
  it.each(cases)('follows 500 steps of PyTorch: losses, L0, weights and moments (case %s)', (letter) => {
    const { oracle, setting } = oracles[letter];
    const { steps, batch, d, features, convention, adam } = setting;
    const trainer = open(initialState(setting), { features, batchSize: batch, lossConvention: convention, ...adam });
    const batches = new Batches(setting);
    const curves = { losses: [] as number[], mse: [] as number[], l1: [] as number[], l0: [] as number[] };
    const fired = new Float64Array(features);
    for (let step = 0, lastL0: number | undefined; step < steps; step++) {
      const result = trainer.step(batches.at(step), step + 1, ratesAt(setting, step), lastL0);
      lastL0 = result.l0;
      curves.losses.push(result.loss);
      for (const name of ['mse', 'l1', 'l0'] as const) curves[name].push(result[name]);
      for (let feature = 0; feature < features; feature++) fired[feature]! += result.fired[feature]!;
    }
    const state = trainer.arrays();
    trainer.dispose();

    for (const [name, values] of Object.entries(curves)) expect(relativeError(values, oracle.values(name)), name).toBeLessThan(tolerances.curves);
    expect(fired.reduce((a, b) => a + b, 0)).toBeCloseTo(batch * curves.l0.reduce((a, b) => a + b, 0), 2);
    for (const name of names) {
      expect(relativeError(state.weights[name], oracle.values(`trained.${name}`)), name).toBeLessThan(tolerances.weights);
      expect(relativeError(state.m[name], oracle.values(`adam.m.${name}`)), `m ${name}`).toBeLessThan(tolerances.moments);
      expect(relativeError(state.v[name], oracle.values(`adam.v.${name}`)), `v ${name}`).toBeLessThan(tolerances.moments);
    }
    for (let row = 0; row < features; row++) expect(Math.hypot(...state.weights.W_dec.subarray(row * d, (row + 1) * d))).toBeCloseTo(1, 5);
  });
});

function initialState({ d, features, seed }: About): SaeTrainingArrays {
  return { weights: initialSae(d, features, seed), m: zeroSaeArrays(d, features), v: zeroSaeArrays(d, features) };
}

function ratesAt({ adam, l1Coefficient, warmup, decay, steps }: About, step: number): { learningRate: number; l1Coefficient: number } {
  return {
    learningRate: adam.learningRate * (decay === 0 ? 1 : Math.min(1, (steps - step) / decay)),
    l1Coefficient: l1Coefficient * (warmup === 0 ? 1 : Math.min(1, (step + 1) / warmup)),
  };
}

/** Sparse mixtures of hidden directions with an offset and noise, as sae_steps.py's `batches`: sums in the same order. */
class Batches {
  private readonly setting: About;
  private readonly directions: Float64Array;

  constructor(setting: About) {
    this.setting = setting;
    const stream = new RandomStream(setting.seed, 'oracle', 'hidden');
    this.directions = Float64Array.from({ length: setting.hidden * setting.d }, () => 2 * stream.uniform() - 1);
  }

  /** [batch · d] */
  at(step: number): Float32Array {
    const { batch, hidden, d, seed } = this.setting;
    const stream = new RandomStream(seed, 'oracle', 'batch', step);
    const x = new Float32Array(batch * d);
    for (let row = 0; row < batch; row++) {
      const [present, strength] = [hidden, hidden].map((count) => Array.from({ length: count }, () => stream.uniform()));
      const vector = Array.from({ length: d }, () => 0.3 + 0.1 * (stream.uniform() - 0.5));
      for (let k = 0; k < hidden; k++) {
        if (present![k]! >= 0.2) continue;
        for (let column = 0; column < d; column++) vector[column]! += (0.25 + strength![k]!) * this.directions[k * d + column]!;
      }
      x.set(vector, row * d);
    }
    return x;
  }
}
