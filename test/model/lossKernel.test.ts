import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, expect, it } from 'vitest';
import { lossKernel, registerLossKernel } from '../../model/lossKernel.ts';
import { tokenLosses, tokenLossesOnTensors } from '../../model/unembedding.ts';
import { RandomStream } from '../../schemas/random.ts';
import { openSaeKernel } from '../../workers/saeKernel.ts';
import { loadBackend } from '../../workers/tensorflow.ts';
import { relativeError } from './oracle.ts';
import { instructionSets } from './saeTrainers.ts';

const kernelOf = (isa: string, threads = 2) => openSaeKernel(threads, { SAEFLOW_SAE_KERNEL: isa })!.loss;
const normals = (stream: RandomStream, count: number, scale: number) => Float32Array.from({ length: count }, () => scale * stream.normal());

interface Case {
  rows: number;
  columns: number;
  d: number;
  /** Of the logits, about. */
  scale: number;
  seed: number;
}

function draw({ rows, columns, d, scale, seed }: Case) {
  const stream = new RandomStream(seed, 'test', 'losses');
  const [final, embedding] = [normals(stream, rows * d, scale / Math.sqrt(d)), normals(stream, columns * d, 1)];
  return { final, embedding, targets: Int32Array.from({ length: rows }, () => stream.integer(columns)) };
}

/** By the definition, in double precision. */
function lossesOf({ rows, columns, d }: Case, { final, embedding, targets }: ReturnType<typeof draw>): number[] {
  return Array.from({ length: rows }, (_, row) => {
    const logits = Array.from({ length: columns }, (_none, column) => {
      let logit = 0;
      for (let k = 0; k < d; k++) logit += final[row * d + k]! * embedding[column * d + k]!;
      return logit;
    });
    const most = Math.max(...logits);
    return Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - most), 0)) + most - logits[targets[row]!]!;
  });
}

function run(isa: string, about: Case, drawn: ReturnType<typeof draw>, threads?: number): Float32Array {
  const out = new Float32Array(about.rows);
  kernelOf(isa, threads).tokenLosses(drawn.final, drawn.embedding, drawn.targets, about.d, out);
  return out;
}

afterAll(() => registerLossKernel(undefined));

it.each(instructionSets)('%s: losses of any shape and size of logits are those of the definition', (isa) => {
  const cases = fc.record({ rows: fc.integer({ min: 1, max: 230 }), columns: fc.integer({ min: 1, max: 150 }), d: fc.integer({ min: 1, max: 40 }), scale: fc.constantFrom(0.01, 1, 10, 100, 1_000), seed: fc.nat() });
  fc.assert(
    fc.property(cases, (about) => {
      const drawn = draw(about);
      const losses = run(isa, about, drawn);
      // a logit is right to some 2^-24 of its size
      lossesOf(about, drawn).forEach((loss, row) => expect(Math.abs(losses[row]! - loss), `row ${row}`).toBeLessThan(2e-6 + about.scale * 2e-6));
    }),
    { numRuns: 60 },
  );
});

it.each(instructionSets)('%s: a vocabulary of tens of thousands and rows longer than a block of depth', (isa) => {
  const wide = { rows: 5, columns: 50_257, d: 33, scale: 3, seed: 1 };
  const deep = { rows: 30, columns: 70, d: 1_100, scale: 3, seed: 2 };
  for (const about of [wide, deep]) {
    const drawn = draw(about);
    expect(relativeError(run(isa, about, drawn), lossesOf(about, drawn)), `${about.columns} columns`).toBeLessThan(1e-6);
  }
});

it.each(instructionSets)("%s: a row's loss has the same bits with any number of threads and whatever rows are beside it", (isa) => {
  const about = { rows: 700, columns: 90, d: 24, scale: 30, seed: 3 };
  const drawn = draw(about);
  const losses = run(isa, about, drawn, 2);
  expect(run(isa, about, drawn, 1)).toEqual(losses);
  expect(run(isa, about, drawn, 5)).toEqual(losses);
  for (const row of [0, 13, 14, 195, 196, 699]) {
    const alone = { final: drawn.final.slice(row * 24, (row + 1) * 24), embedding: drawn.embedding, targets: drawn.targets.slice(row, row + 1) };
    expect(run(isa, { ...about, rows: 1 }, alone)[0]).toBe(losses[row]);
  }
});

it.each(instructionSets)('%s: what is not finite stays so, in its own row only', (isa) => {
  const about = { rows: 4, columns: 40, d: 8, scale: 1, seed: 4 };
  const drawn = draw(about);
  const clean = run(isa, about, drawn);
  drawn.final[1 * 8 + 3] = NaN;
  drawn.final[2 * 8 + 3] = Infinity;
  const losses = run(isa, about, drawn);
  expect([losses[0], losses[3]]).toEqual([clean[0], clean[3]]);
  expect(losses[1]).toBeNaN();
  expect(Number.isFinite(losses[2])).toBe(false);
});

it('a target that is no row of the embedding, or lengths that do not fit, are refused', () => {
  const { tokenLosses: losses } = kernelOf('portable');
  const call = (target: number, columns = 3, out = 1) => () => losses(new Float32Array(2), new Float32Array(columns * 2), Int32Array.of(target), 2, new Float32Array(out));
  expect(call(3)).toThrow('target 3 is no row of the embedding, which has 3');
  expect(call(-1)).toThrow('target -1 is no row');
  expect(call(0, 1.5)).toThrow('argument 2 has 3 elements, not a multiple of 2');
  expect(call(0, 3, 2)).toThrow('argument 5 has 2 elements, not 1');
});

it('losses of tensors are the kernel’s where it is registered, and within 1e-6 of those without it', async () => {
  await loadBackend({});
  expect(lossKernel()).toBeDefined();
  const about = { rows: 1_100, columns: 300, d: 16, scale: 4, seed: 5 };
  const { final, embedding, targets } = draw(about);
  tf.tidy(() => {
    const given = [tf.tensor2d(final, [1_100, 16]), tf.tensor2d(embedding, [300, 16]), tf.tensor1d(targets, 'int32')] as const;
    const losses = tokenLosses(...given).dataSync() as Float32Array;
    expect(losses).toEqual(run(instructionSets.at(-1)!, about, { final, embedding, targets }));
    expect(relativeError(losses, tokenLossesOnTensors(...given).dataSync())).toBeLessThan(1e-6);
  });
});
