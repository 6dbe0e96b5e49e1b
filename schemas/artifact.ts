// What the store holds beside bytes: receipts of shards, and the manifest that makes an artifact exist.
// References to these are all that crosses Temporal.
import { z } from 'zod';
import { sha256Hex, stageName } from './stages.ts';

export const fileEntry = z.strictObject({
  /** Path inside the artifact's folder. */
  path: z.string().min(1),
  sha256: sha256Hex,
  bytes: z.int().nonnegative(),
  rows: z.int().nonnegative().optional(),
});
export type FileEntry = z.infer<typeof fileEntry>;

/** Numbers a step wants to tell: they go to manifests, progress and reports. */
export const metrics = z.record(z.string(), z.number());

/** As many are kept of a shard and of an artifact. */
export const MAX_BAD_LINES = 20;

/** A line of a corpus that is no document, and was left out. */
export const badLine = z.strictObject({
  /** Provenance name of the corpus file. */
  file: z.string(),
  /** 1-based; the row of a Parquet file, 1 in a text file. */
  line: z.int().positive(),
  reason: z.string(),
  /** Its first 200 characters, escaped. */
  beginning: z.string(),
});
export type BadLine = z.infer<typeof badLine>;
const badLines = z.array(badLine).max(MAX_BAD_LINES).optional();

/** Written after a shard's files: its presence says that they are complete. */
export const receipt = z.strictObject({
  shard: z.int().nonnegative(),
  files: z.array(fileEntry),
  metrics,
  /** Of a tokenized shard: the first lines left out; `metrics.badLines` counts all. */
  badLines,
  seconds: z.number().nonnegative(),
  /** Of these, the time a training waited for its vectors. */
  waitSeconds: z.number().nonnegative().optional(),
  device: z.string(),
  /** Through the store, by the attempt that succeeded; absent in receipts of before they were counted. */
  bytesRead: z.int().nonnegative().optional(),
  bytesWritten: z.int().nonnegative().optional(),
});
export type Receipt = z.infer<typeof receipt>;

export const manifest = z.strictObject({
  format: z.literal(1),
  stage: stageName,
  stageVersion: z.int().positive(),
  key: sha256Hex,
  config: z.unknown(),
  inputs: z.record(z.string(), sha256Hex),
  files: z.array(fileEntry),
  /** SHA-256 of the sorted list of files: equal for equal results, whenever and wherever they were made. */
  contentSha256: sha256Hex,
  bytes: z.int().nonnegative(),
  shards: z.strictObject({ total: z.int().nonnegative(), skipped: z.array(z.int().nonnegative()) }),
  metrics,
  /** Of tokens: the first lines of the corpus that were left out. */
  badLines,
  provenance: z.strictObject({
    codeVersion: z.string(),
    machine: z.string(),
    device: z.string(),
    backend: z.string(),
    threads: z.int().positive(),
    node: z.string(),
    createdAt: z.string(),
    seconds: z.number().nonnegative(),
    gpuSeconds: z.number().nonnegative(),
    /** Of `seconds`, the time a training waited for its vectors. */
    waitSeconds: z.number().nonnegative().optional(),
    /** Through the store, by what made the pieces; absent in manifests of before they were counted. */
    bytesRead: z.int().nonnegative().optional(),
    bytesWritten: z.int().nonnegative().optional(),
  }),
});
export type Manifest = z.infer<typeof manifest>;

/** What Temporal carries of a finished artifact. */
export const artifactRef = z.strictObject({
  stage: stageName,
  key: sha256Hex,
  uri: z.string(),
  contentSha256: sha256Hex,
  bytes: z.int().nonnegative(),
  files: z.int().nonnegative(),
  seconds: z.number().nonnegative(),
  gpuSeconds: z.number().nonnegative(),
  device: z.string(),
  metrics,
});
export type ArtifactRef = z.infer<typeof artifactRef>;
