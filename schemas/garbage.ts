// What a store holds that nobody will ask for again, in words and numbers: for `saeflow gc`, and for the workflow that
// does the same from Temporal's UI.
import { z } from 'zod';
import { age } from './age.ts';
import { formatBytes } from './format.ts';

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

/** How much of it there is. */
export interface GarbageAmount {
  files: number;
  bytes: number;
}

/** Its result. */
export interface GarbageReport extends GarbageAmount {
  /** Whether it was deleted, or only found. */
  deleted: boolean;
  /** Of each kind that there is, with the first paths. */
  kinds: (GarbageAmount & { kind: GarbageKind; examples: string[] })[];
  /** Found, but written anew before it could be deleted. */
  renewed: number;
  /** Artifacts that were left alone, and why; the first ones. */
  spared: { artifact: string; why: string }[];
  unfinished: UnfinishedArtifacts;
}

/** Artifacts without a manifest, with which a run can go on: kept, whatever their age. */
export interface UnfinishedArtifacts {
  artifacts: number;
  bytes: number;
}

/** `"1 file, 1.0 kB"`. */
export function describeAmount({ files, bytes }: GarbageAmount): string {
  return `${files} file${files === 1 ? '' : 's'}, ${formatBytes(bytes)}`;
}

/** What is kept of them, and why. */
export function describeUnfinished({ artifacts, bytes }: UnfinishedArtifacts): string {
  return `${artifacts} unfinished artifacts, ${formatBytes(bytes)}: the same run again goes on with them`;
}
