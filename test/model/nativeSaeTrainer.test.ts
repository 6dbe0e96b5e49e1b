// The native kernel of the SAE step against the step on tensors, for every instruction set this processor has.
import { beforeAll, describe, expect, it } from 'vitest';
import { NativeSaeTrainer } from '../../model/nativeSaeTrainer.ts';
import { initialSae, saeParameterNames } from '../../model/sae.ts';
import { registerSaeKernel, saeKernel } from '../../model/saeKernel.ts';
import { openSaeTrainer, TensorSaeTrainer, zeroSaeArrays, type SaeStepResult, type SaeTrainer, type SaeTrainerConfig, type SaeTrainingArrays } from '../../model/saeTrainer.ts';
import { RandomStream } from '../../schemas/random.ts';
import { loadBackend } from '../../workers/tensorflow.ts';
import { relativeError } from './oracle.ts';
import { instructionSets, kernelFor, onPath } from './saeTrainers.ts';

const rates = { learningRate: 1e-3, l1Coefficient: 1e-2 };

interface Setting {
  x: Float32Array;
  state: SaeTrainingArrays;
  config: SaeTrainerConfig;
}

function setting(d: number, features: number, batchSize: number, encoderBias = 0): Setting {
  const stream = new RandomStream(3, 'test', d, features);
  const normals = (size: number, scale: number) => Float32Array.from({ length: size }, () => scale * stream.normal());
  const weights = initialSae(d, features, 1, normals(d, 0.1));
  weights.b_enc = weights.b_enc.map((value) => value + encoderBias);
  return {
    x: normals(batchSize * d, 1),
    state: { weights, m: zeroSaeArrays(d, features), v: zeroSaeArrays(d, features) },
    config: { features, batchSize, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, lossConvention: 'sum' },
  };
}

function train(trainer: SaeTrainer, x: Float32Array, steps: number): { results: SaeStepResult[]; end: SaeTrainingArrays; losses: Float32Array } {
  const results = Array.from({ length: steps }, (_, step) => trainer.step(x, step + 1, rates));
  const outcome = { results, end: trainer.arrays(), losses: trainer.losses(x, rates.l1Coefficient) };
  trainer.dispose();
  return outcome;
}

beforeAll(async () => void (await loadBackend({})));

it('runs on every processor: the portable form is always there', () => {
  expect(instructionSets).toContain('portable');
});

describe.each(instructionSets)('%s', (isa) => {
  // neither d nor F a multiple of a vector or a tile; rows over several blocks and pieces
  it.each([
    [24, 40, 50],
    [70, 201, 2_100],
    [13, 7, 1],
  ])('steps as tensors do at d %i, %i features, %i vectors, on both paths', (d, features, batchSize) => {
    const { x, state, config } = setting(d, features, batchSize);
    const expected = train(new TensorSaeTrainer(state, config), x, 3);
    for (const path of ['sparse', 'dense'] as const) {
      const made = train(onPath(path, new NativeSaeTrainer(kernelFor(isa)!, state, config)), x, 3);
      made.results.forEach((result, step) => {
        const wanted = expected.results[step]!;
        expect(relativeError([result.loss, result.mse, result.l1, result.l0], [wanted.loss, wanted.mse, wanted.l1, wanted.l0]), `step ${step}`).toBeLessThan(1e-6);
        expect(result.path).toBe(path);
        expect(result.nonFinite).toBeUndefined();
      });
      expect(Array.from(made.results[0]!.fired)).toEqual(Array.from(expected.results[0]!.fired));
      expect(relativeError(made.losses, expected.losses)).toBeLessThan(1e-5);
      // two times Adam's ±rate where a gradient is all rounding; everything else is far closer
      for (const name of saeParameterNames) expect(relativeError(made.end.weights[name], expected.end.weights[name]), `${path} ${name}`).toBeLessThan(1e-3);
    }
  });

  it('gives the same bits on one, two and three threads', () => {
    const { x, state, config } = setting(70, 201, 2_100);
    for (const path of ['sparse', 'dense'] as const) {
      const [one, ...more] = [1, 2, 3].map((threads) => train(onPath(path, new NativeSaeTrainer(kernelFor(isa, threads)!, state, config)), x, 3));
      for (const other of more) expect(other).toEqual(one);
    }
  });

  it('finds a feature that is active by the least float, and none where it is exactly zero', () => {
    const { state, config } = setting(16, 32, 1);
    state.weights.b_dec.fill(0);
    state.weights.W_enc.fill(0);
    state.weights.b_enc.fill(0);
    // x · w = 1 − 1 for all features; two biases lift theirs by a hair
    state.weights.W_enc.fill(1, 0, 32);
    state.weights.W_enc.fill(-1, 32, 64);
    state.weights.b_enc[5] = 1e-30;
    state.weights.b_enc[31] = 1e-7;
    const x = new Float32Array(16);
    x.set([1, 1]);
    const { fired, l0 } = onPath('sparse', new NativeSaeTrainer(kernelFor(isa)!, state, config)).step(x, 1, rates);
    expect(l0).toBe(2);
    expect([...Array.from(fired).keys()].filter((feature) => fired[feature]! > 0)).toEqual([5, 31]);
  });

  it('finds a feature that rounding to bfloat16 would hide', () => {
    const { state, config } = setting(512, 32, 1);
    for (const arrays of [state.weights.W_enc, state.weights.b_enc, state.weights.b_dec]) arrays.fill(0);
    // down to 1 and up to 1 + 2^-7: 256 positive terms shrink, 255 negative ones grow, and +0.93 becomes -2.98
    const [down, up] = [1 + 0.49 * 2 ** -7, 1 + 0.51 * 2 ** -7];
    const x = Float32Array.from({ length: 512 }, (_, k) => (k < 256 ? down : k < 511 ? up : 0));
    x.forEach((value, k) => (state.weights.W_enc[k * 32 + 7] = k < 256 ? value : -value));
    expect(onPath('sparse', new NativeSaeTrainer(kernelFor(isa)!, state, config)).step(x, 1, rates).l0).toBe(1);
  });

  it.each([
    ["a feature's squares overflow", { x: 0, weight: 1e20, bias: 1 }],
    ["a vector's squares overflow", { x: 3e19, weight: 0, bias: 1 }],
    ['both do', { x: 3e19, weight: 1e20, bias: -1 }],
  ])('finds a feature where %s', (_, { x, weight, bias }) => {
    const { state, config } = setting(16, 37, 1);
    for (const arrays of [state.weights.W_enc, state.weights.b_enc, state.weights.b_dec]) arrays.fill(0);
    for (let k = 0; k < 16; k++) state.weights.W_enc[k * 37 + 7] = weight;
    state.weights.b_enc[7] = bias;
    const { fired } = onPath('sparse', new NativeSaeTrainer(kernelFor(isa)!, state, config)).step(new Float32Array(16).fill(x), 1, rates);
    expect([...Array.from(fired).keys()].filter((feature) => fired[feature]! > 0)).toEqual([7]);
  });

  it("finds a feature of vectors so short that their squares vanish, and bfloat16 would hide it", () => {
    const { state, config } = setting(512, 37, 1);
    for (const arrays of [state.weights.W_enc, state.weights.b_enc, state.weights.b_dec]) arrays.fill(0);
    const [down, up] = [1 + 0.49 * 2 ** -7, 1 + 0.51 * 2 ** -7];
    const x = Float32Array.from({ length: 512 }, (_, k) => 2 ** -90 * (k < 256 ? down : k < 511 ? up : 0));
    x.forEach((value, k) => (state.weights.W_enc[k * 37 + 36] = 2 ** 90 * (k < 256 ? value : -value)));
    // of length about 22, and x of 2^-86
    expect(onPath('sparse', new NativeSaeTrainer(kernelFor(isa)!, state, config)).step(x, 1, rates).l0).toBe(1);
  });

  it.each([NaN, Infinity, -Infinity])('a vector that holds %d makes the loss not finite, and fires no feature by that', (bad) => {
    const { x, state, config } = setting(24, 37, 20, -0.5);
    const spoilt = Float32Array.from(x);
    spoilt[7 * 24 + 3] = bad;
    const fired = (path: 'sparse' | 'dense', vectors: Float32Array) => onPath(path, new NativeSaeTrainer(kernelFor(isa)!, state, config)).step(vectors, 1, rates);
    for (const path of ['sparse', 'dense'] as const) {
      const { loss, fired: found } = fired(path, spoilt);
      expect(loss, path).not.toBeLessThan(Infinity);
      const without = fired(path, Float32Array.of(...x.subarray(0, 7 * 24), ...x.subarray(8 * 24))).fired;
      const more = Array.from(found, (count, feature) => count - without[feature]!);
      if (Number.isNaN(bad)) expect(more.every((count) => count === 0), path).toBe(true);
      else expect(more.every((count) => count === 0 || count === 1), path).toBe(true);
    }
  });

  it('names the parameter whose gradient is not finite', () => {
    for (const path of ['sparse', 'dense'] as const) {
      const { x, state, config } = setting(16, 32, 8);
      // a decoder row of 1e30 makes its encoder's gradient overflow
      state.weights.W_dec.fill(3e38, 0, 16);
      state.weights.b_enc.fill(1, 0, 1);
      expect(onPath(path, new NativeSaeTrainer(kernelFor(isa)!, state, config)).step(x, 1, rates).nonFinite, path).toBeDefined();
    }
  });
});

describe('choosing a path', () => {
  it('is dense on the first step and where many features are active, sparse where few are, by the L0 given', () => {
    const { x, state, config } = setting(24, 400, 64, -2);
    const trainer = new NativeSaeTrainer(kernelFor('portable')!, state, config);
    expect(trainer.step(x, 1, rates).path).toBe('dense');
    expect(trainer.step(x, 2, rates, 200).path).toBe('dense');
    expect(trainer.step(x, 3, rates, 20).path).toBe('sparse');
    trainer.dispose();
  });

  it('the registered kernel is taken, and tensors where there is none', () => {
    const { state, config } = setting(16, 32, 8);
    const before = saeKernel();
    try {
      registerSaeKernel(kernelFor('portable'));
      expect(openSaeTrainer(state, config).device).toBe('sae kernel (portable)');
      registerSaeKernel(undefined);
      expect(openSaeTrainer(state, config).device).toBe('tensorflow');
    } finally {
      registerSaeKernel(before);
    }
  });
});

describe('what the kernel refuses', () => {
  const { x, state, config } = setting(16, 32, 8);
  const open = () => new NativeSaeTrainer(kernelFor('portable')!, state, config);

  it('a batch that is no whole number of vectors', () => {
    expect(() => open().step(x.subarray(1), 1, rates)).toThrow('argument 2 has 127 elements, not a multiple of 16');
  });

  it('a batch whose memory has gone to another owner', () => {
    const moved = Float32Array.from(x);
    structuredClone(moved.buffer, { transfer: [moved.buffer] });
    expect(() => open().step(moved, 1, rates)).toThrow('argument 2 has 0 elements, not a multiple of 16');
  });

  it('numbers of another kind', () => {
    const kernel = kernelFor('portable')!;
    const handle = kernel.create(16, 32);
    const doubles = Float64Array.from(x) as unknown as Float32Array;
    expect(() => kernel.losses(handle, doubles, 1, 1, new Float32Array(8))).toThrow('argument 2 is not a typed array of the right kind');
    expect(() => kernel.losses({} as typeof handle, x, 1, 1, new Float32Array(8))).toThrow('argument 1 is not a training');
  });

  it('sizes that its counters do not hold', () => {
    const kernel = kernelFor('portable')!;
    for (const features of [0, 1.5, -1, NaN, 2 ** 23 + 1]) expect(() => kernel.create(16, features), String(features)).toThrow('argument 2 is not a whole number from 1 to 8388608');
    expect(() => kernel.losses(kernel.create(1, 1), new Float32Array(2 ** 24 + 1), 1, 1, new Float32Array(1))).toThrow('argument 2 has 16777217 vectors, more than 16777216');
  });

  it('arrays of another shape', () => {
    const wrong = { ...state, m: { ...state.m, b_enc: new Float32Array(31) } };
    expect(() => new NativeSaeTrainer(kernelFor('portable')!, wrong, config)).toThrow('argument 4 has 31 elements, not 32');
  });

  it('a training that was released', () => {
    const trainer = open();
    trainer.dispose();
    expect(() => trainer.arrays()).toThrow('the training was released');
  });
});

it('state put in comes out unchanged', () => {
  const { state, config } = setting(13, 37, 8);
  const stream = new RandomStream(5, 'test');
  for (const arrays of [state.m, state.v]) for (const name of saeParameterNames) arrays[name].forEach((_, index) => (arrays[name][index] = stream.normal()));
  const trainer = new NativeSaeTrainer(kernelFor('portable')!, state, config);
  expect(trainer.arrays()).toEqual(state);
  trainer.dispose();
});
