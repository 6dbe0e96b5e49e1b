// What a bench says: one JSON line for programs, the same object kept in bench/results/ for RESULTS.md.
import { z } from 'zod';

const positive = z.number().positive();

/** One comparison. `ratio` says how many times faster, or smaller, ours is. */
const figures = {
  ours: positive,
  peer: positive,
  ratio: positive,
  /** Of `ours` and `peer`. Of time, memory and history less is better, of a rate more; of what is learnt (the others) the ratio should be 1. */
  unit: z.enum(['ms', 's', 'MB', 'MB/s', 'bytes', 'events', 'MSE per component', 'features', 'share', 'nats per token']),
  /** What `peer` is, with its version. */
  peerVersion: z.string().min(1),
};

export const benchCase = z.strictObject({
  name: z.string().min(1),
  ...figures,
  /** The ratio aimed at. */
  goal: positive.optional(),
  note: z.string().optional(),
});
export type BenchCase = z.infer<typeof benchCase>;

export const benchResult = z.strictObject({
  bench: z.string().regex(/^[a-z][a-z0-9-]*$/),
  ...figures,
  machine: z.string().min(1),
  /** All comparisons; the figures above are the first one's. */
  cases: z.array(benchCase).min(1),
  /** What a reader must know: a peer that does not run here, a path taken. */
  notes: z.array(z.string()),
});
export type BenchResult = z.infer<typeof benchResult>;

export const recordedResult = z.strictObject({
  result: benchResult,
  /** ISO day. */
  date: z.iso.date(),
  threads: z.int().positive(),
  rounds: z.int().positive(),
  command: z.string().min(1),
  /** Of our side: saeflow, Node, libtensorflow. */
  versions: z.array(z.string()),
});
export type RecordedResult = z.infer<typeof recordedResult>;

/** A comparison of two measures of which the smaller is better. */
export function compare(name: string, unit: BenchCase['unit'], ours: number, peer: number, peerVersion: string, more: Pick<BenchCase, 'goal' | 'note'> = {}): BenchCase {
  return { name, ours: significant(ours), peer: significant(peer), ratio: significant(peer / ours), unit, peerVersion, ...more };
}

/** A comparison of two rates, of which the larger is better. */
export function compareRates(name: string, unit: 'MB/s', ours: number, peer: number, peerVersion: string, more: Pick<BenchCase, 'goal' | 'note'> = {}): BenchCase {
  return { name, ours: significant(ours), peer: significant(peer), ratio: significant(ours / peer), unit, peerVersion, ...more };
}

/** Bytes → MB. */
export function megabytes(bytes: number): number {
  return bytes / 1e6;
}

/** Four digits: more would be noise. */
function significant(value: number): number {
  return Number(value.toPrecision(4));
}
