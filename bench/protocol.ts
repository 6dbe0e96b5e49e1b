// What a bench and one side of it (a process of ours, or a peer's in Python) say to each other: JSON, a line each. The
// side answers `ready` once, then `ran` to every `run`, or `failed` in place of either, and ends when its stdin does.
import { z } from 'zod';

export const toSide = z.strictObject({ command: z.literal('run'), steps: z.int().positive() });
export type ToSide = z.infer<typeof toSide>;

const ready = z.strictObject({
  type: z.literal('ready'),
  /** Library and version, for the results: "PyTorch 2.15.0". */
  version: z.string().min(1),
  threads: z.int().positive(),
});
export type Ready = z.infer<typeof ready>;

const ran = z.strictObject({
  type: z.literal('ran'),
  /** Of all the steps together, measured inside the side. */
  ms: z.number().positive(),
  /** The process' largest resident memory so far (VmHWM), and what it is now (VmRSS). */
  peakRssBytes: z.number().positive(),
  rssBytes: z.number().positive(),
  /** What the last step gave (loss, L0 …), by which both sides are held to the same work. */
  values: z.record(z.string(), z.number()),
  note: z.string().optional(),
});
export type Ran = z.infer<typeof ran>;

export const fromSide = z.discriminatedUnion('type', [ready, ran, z.strictObject({ type: z.literal('failed'), message: z.string() })]);
