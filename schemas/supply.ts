// What an SAE's training and the workflow that makes its activation shards say to each other (workflows/supplyActivations.ts).
import { z } from 'zod';
import { stageInput } from './progress.ts';

const shard = z.int().nonnegative();
const step = z.int().nonnegative();

/** The shards that one job of a training reads, as data/readingPlan.ts works them out. */
export const reading = z.strictObject({
  /** The first step of the job: that of the newest checkpoint where nobody said better. */
  from: step,
  /** The step before which the job ends. */
  stopAt: step,
  /** How far reading is, in shards through all epochs: the training with the smallest is the slowest. */
  position: z.int().nonnegative(),
  need: z.array(shard),
  /** What is read after that, in order. */
  next: z.array(shard),
});
export type Reading = z.infer<typeof reading>;

/** From a training to the supply: all that it needs at present. It replaces the training's request before. */
export const supplyRequest = z.strictObject({
  /** Workflow id of the training. */
  consumer: z.string(),
  /** Names this request in the answer. */
  token: z.string(),
  position: z.int().nonnegative(),
  /** Held from the answer to the next request; none while the training rests. */
  need: z.array(shard),
  next: z.array(shard),
  windowShards: z.int().positive(),
  /** Of the training's pipelines, which want to know how far sampling is. */
  watchers: z.array(z.string()),
  /** A shard that was answered to be there was not. */
  absent: z.boolean(),
});
export type SupplyRequest = z.infer<typeof supplyRequest>;

/** From the supply to a training: the request of that token is met, or can't be. */
export const supplyAnswer = z.strictObject({ token: z.string(), error: z.string().optional() });
export type SupplyAnswer = z.infer<typeof supplyAnswer>;

/** Input of the workflow `supplyActivations`. */
export const supplyInput = z.strictObject({
  stage: stageInput,
  /** Handed on when it continues as new. */
  requests: z.array(supplyRequest).default([]),
  paused: z.boolean().default(false),
});
export type SupplyInput = z.infer<typeof supplyInput>;

/** Which shards an artifact has. */
export const shardsThere = z.strictObject({
  total: z.int().nonnegative(),
  /** Shards whose files are there. */
  present: z.array(shard),
  /** Receipts: how many were made, whether their files are still there or not. */
  made: z.int().nonnegative(),
  retention: z.enum(['keep', 'consume']),
});
export type ShardsThere = z.infer<typeof shardsThere>;
