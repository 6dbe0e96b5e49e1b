// What a store holds that nobody will ask for again, in words and numbers: for `saeflow gc`, and for the workflow that
// does the same from Temporal's UI.
import { z } from 'zod';
import { age } from './age.ts';

/** Kinds of garbage, each with why it is. */
export const garbageKinds = {
  temporary: 'writes that never ended: their writers died',
  work: 'work/ of finished artifacts: only the making needed it',
  unnamed: 'files of finished artifacts that their manifests do not name',
  checkpoint: 'checkpoints of unfinished trainings beyond those that are kept, or half written',
} as const;
export type GarbageKind = keyof typeof garbageKinds;

/** Input of the workflow collectGarbage; `{}` only looks. */
export const garbageInput = z.strictObject({
  delete: z.boolean().default(false),
  /** What is younger stays: its writer may be alive, and unknown to the server. */
  olderThan: age.prefault('1h'),
});
export type GarbageSearchInput = z.input<typeof garbageInput>;

/** Its result. */
export const garbageReport = z.strictObject({
  /** Whether it was deleted, or only found. */
  deleted: z.boolean(),
  files: z.int().nonnegative(),
  bytes: z.int().nonnegative(),
  kinds: z.array(z.strictObject({ kind: z.enum(Object.keys(garbageKinds) as [GarbageKind, ...GarbageKind[]]), files: z.int().positive(), bytes: z.int().nonnegative(), examples: z.array(z.string()) })),
  /** Found, but written anew before it could be deleted. */
  renewed: z.int().nonnegative(),
  /** Artifacts that were left alone, and why; the first ones. */
  spared: z.array(z.strictObject({ artifact: z.string(), why: z.string() })),
  /** Artifacts without a manifest, with which a run can go on. */
  unfinished: z.strictObject({ artifacts: z.int().nonnegative(), bytes: z.int().nonnegative() }),
});
export type GarbageReport = z.infer<typeof garbageReport>;
