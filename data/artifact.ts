// An artifact is a folder <stage>/<key>/ in the store: spec.json says what it is to be, receipts/ which shards are
// complete, manifest.json, written last and once, that it exists. Whatever is read back is checked first: a store is
// shared, long-lived and edited by hand.
import { createHash } from 'node:crypto';
import type { z } from 'zod';
import { manifest as manifestSchema, receipt as receiptSchema, type ArtifactRef, type FileEntry, type Manifest, type Receipt } from '../schemas/artifact.ts';
import { UserError } from '../schemas/errors.ts';
import { canonicalJson, fieldsInsideKey } from '../schemas/keys.ts';
import { stageNames, stageSpec, stageVersions, type ArtifactId, type StageName, type StageSpec } from '../schemas/stages.ts';
import { NotFoundError, type ArtifactStore } from './artifactStore.ts';

/** Written before the first file of an artifact is deleted that can be made again; inside its folder. */
export const consumedMarker = 'consumed.json';

const receiptsAtOnce = 16;
const hashedBytesAtOnce = 64 * 2 ** 20;

/** A manifest before its files are sorted, counted and hashed. */
export type ManifestDraft = Omit<Manifest, 'format' | 'contentSha256' | 'bytes'> & Partial<Pick<Manifest, 'format' | 'contentSha256' | 'bytes'>>;

/** One thing verifyArtifact found wrong. */
export interface VerificationProblem {
  artifact: ArtifactId;
  /** Path in the store. */
  path: string;
  /** SHA-256 the manifest names, or 'a manifest'. */
  expected: string;
  /** SHA-256 found, or 'nothing', or what is wrong. */
  found: string;
}

/** The path in the store of a file of an artifact. */
export function artifactPath(id: ArtifactId, path: string): string {
  return `${id.stage}/${id.key}/${path}`;
}

/**
 * The key of what a spec makes: SHA-256 of the canonical JSON of stage, stage version, the configuration that affects
 * the result, and the inputs' keys.
 *
 * @throws UserError when the spec is malformed.
 */
export function specKey(spec: StageSpec): string {
  const { stage, config, inputs } = parseAs(stageSpec, spec, `a ${spec.stage} spec`);
  return sha256(canonicalJson({ stage, stageVersion: stageVersions[stage], config: fieldsInsideKey(configSchema(stage), config), inputs }));
}

/** The configuration of a spec without what does not affect the result, such as how its files are kept. */
export function configInsideKey({ stage, config }: StageSpec): unknown {
  return fieldsInsideKey(configSchema(stage), config);
}

/**
 * Writes spec.json. Of an artifact begun before, only fields outside the key can differ (locations, intervals); the
 * newest request's count.
 *
 * @throws Error when `id` is not what the spec makes.
 */
export async function writeSpec(store: ArtifactStore, id: ArtifactId, spec: StageSpec): Promise<void> {
  const key = specKey(spec);
  if (id.stage !== spec.stage || id.key !== key) throw new Error(`spec of ${spec.stage}/${key} written to ${id.stage}/${id.key}`);
  const path = artifactPath(id, 'spec.json');
  const bytes = toJson(spec);
  if (await store.putIfAbsent(path, bytes)) return;
  if (!Buffer.from(await store.get(path)).equals(bytes)) await store.put(path, bytes);
}

/** Reads spec.json. Throws NotFoundError when there is none, UserError when it is malformed. */
export async function readSpec(store: ArtifactStore, id: ArtifactId): Promise<StageSpec> {
  return readJson(store, artifactPath(id, 'spec.json'), stageSpec);
}

/** Says that a shard's files are complete; of two workers that made one shard the first one's receipt stands. */
export async function writeReceipt(store: ArtifactStore, id: ArtifactId, receipt: Receipt): Promise<void> {
  await store.putIfAbsent(receiptPath(id, receipt.shard), toJson(parseAs(receiptSchema, receipt, `receipt of shard ${receipt.shard}`)));
}

/** The receipt of a shard, or null while it is not complete. Throws UserError when it is malformed. */
export async function readReceipt(store: ArtifactStore, id: ArtifactId, shard: number): Promise<Receipt | null> {
  return orNull(readJson(store, receiptPath(id, shard), receiptSchema));
}

/** All receipts of an artifact, by shard number. */
export async function listReceipts(store: ArtifactStore, id: ArtifactId): Promise<Receipt[]> {
  const paths = (await store.list(artifactPath(id, 'receipts/'))).map(({ path }) => path);
  const receipts: Receipt[] = [];
  for (let at = 0; at < paths.length; at += receiptsAtOnce) {
    receipts.push(...(await Promise.all(paths.slice(at, at + receiptsAtOnce).map((path) => readJson(store, path, receiptSchema)))));
  }
  return receipts.sort((a, b) => a.shard - b.shard);
}

/**
 * Commits an artifact: sorts and counts its files, computes contentSha256 and writes manifest.json unless there is one.
 * Returns the manifest that stands, which may be another worker's.
 */
export async function writeManifest(store: ArtifactStore, draft: ManifestDraft): Promise<Manifest> {
  const files = [...draft.files].sort((a, b) => (a.path < b.path ? -1 : 1));
  const manifest = parseAs(
    manifestSchema,
    { ...draft, format: 1, files, contentSha256: contentSha256(files), bytes: files.reduce((sum, file) => sum + file.bytes, 0) },
    `manifest of ${draft.stage}/${draft.key}`,
  );
  const written = await store.putIfAbsent(artifactPath(manifest, 'manifest.json'), toJson(manifest));
  return written ? manifest : ((await readManifest(store, manifest)) ?? manifest);
}

/** The manifest, or null while the artifact does not exist. Throws UserError when it is malformed. */
export async function readManifest(store: ArtifactStore, id: ArtifactId): Promise<Manifest | null> {
  return orNull(readJson(store, artifactPath(id, 'manifest.json'), manifestSchema));
}

/** What Temporal carries of a finished artifact. */
export function refOf(manifest: Manifest, storeUri: string): ArtifactRef {
  const { stage, key, contentSha256, bytes, files, metrics } = manifest;
  const { seconds, gpuSeconds, device } = manifest.provenance;
  return { stage, key, uri: `${storeUri}/${stage}/${key}`, contentSha256, bytes, files: files.length, seconds, gpuSeconds, device, metrics };
}

/**
 * The bytes of a file of an artifact, known to be what its writer hashed.
 *
 * @throws UserError when they are not, naming file, both hashes and the remedy; NotFoundError when there is no such file.
 */
export async function readVerified(store: ArtifactStore, id: ArtifactId, entry: FileEntry): Promise<Uint8Array> {
  const path = artifactPath(id, entry.path);
  const bytes = await store.get(path);
  const found = sha256(bytes);
  if (found === entry.sha256 && bytes.length === entry.bytes) return bytes;
  throw new UserError(
    `${store.uri}/${path} is corrupted: SHA-256 ${entry.sha256} (${entry.bytes} bytes) expected, ${found} (${bytes.length} bytes) found`,
    'Put the file back from a copy, or run saeflow repair, which makes what is damaged anew, and then the same run again.',
  );
}

/**
 * Re-hashes every file an artifact's manifest names and, with `ancestors`, those of all it was made from. An empty list
 * means that every byte that is there is the one that was written; what is not there was deleted when it had been read
 * (data/shardFiles.ts), and is held against its hash when it is made again.
 */
export async function verifyArtifact(store: ArtifactStore, id: ArtifactId, { ancestors }: { ancestors: boolean }): Promise<VerificationProblem[]> {
  const problems: VerificationProblem[] = [];
  const pending: ArtifactId[] = [{ stage: id.stage, key: id.key }];
  const seen = new Set<string>();
  for (let artifact = pending.pop(); artifact; artifact = pending.pop()) {
    if (seen.has(artifactPath(artifact, ''))) continue;
    seen.add(artifactPath(artifact, ''));
    const manifest = await verifyOne(store, artifact, problems);
    if (!manifest || !ancestors) continue;
    for (const [input, key] of Object.entries(manifest.inputs)) {
      const stage = stageNames.find((name) => name === input);
      if (stage) pending.push({ stage, key });
    }
  }
  return problems;
}

async function verifyOne(store: ArtifactStore, artifact: ArtifactId, problems: VerificationProblem[]): Promise<Manifest | null> {
  const report = (path: string, expected: string, found: string): void => void problems.push({ artifact, path: artifactPath(artifact, path), expected, found });
  let manifest: Manifest | null;
  try {
    manifest = await readManifest(store, artifact);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    report('manifest.json', 'a manifest', error.message);
    return null;
  }
  if (!manifest) {
    report('manifest.json', 'a manifest', 'nothing');
    return null;
  }
  if (manifest.stage !== artifact.stage || manifest.key !== artifact.key) report('manifest.json', `a manifest of ${artifact.stage}/${artifact.key}`, `one of ${manifest.stage}/${manifest.key}`);
  const listSha256 = contentSha256(manifest.files);
  if (listSha256 !== manifest.contentSha256) report('manifest.json', manifest.contentSha256, `${listSha256} (of its list of files)`);
  problems.push(...(await verifyFiles(store, artifact, manifest.files)));
  return manifest;
}

/** The files of an artifact that are not what its manifest, or a receipt, says. */
export async function verifyFiles(store: ArtifactStore, artifact: ArtifactId, files: readonly FileEntry[]): Promise<VerificationProblem[]> {
  const problems: VerificationProblem[] = [];
  // a shard that was deleted once it had been read is made again when it is asked for
  const consumed = artifact.stage === 'sampleActivations' && (await isConsumed(store, artifact));
  for (const file of files) {
    const path = artifactPath(artifact, file.path);
    const found = await hashObject(store, path);
    if (found === null && consumed) continue;
    if (found !== file.sha256) problems.push({ artifact, path, expected: file.sha256, found: found ?? 'nothing' });
  }
  return problems;
}

/** Whether absent files of an artifact's shards are meant to be absent. */
export async function isConsumed(store: ArtifactStore, id: ArtifactId): Promise<boolean> {
  return store.exists(artifactPath(id, consumedMarker));
}

/** SHA-256 of an object of any size, read a piece at a time; null when it isn't there. */
async function hashObject(store: ArtifactStore, path: string): Promise<string | null> {
  const bytes = await orNull(store.size(path));
  if (bytes === null) return null;
  const hash = createHash('sha256');
  for (let start = 0; start < bytes; start += hashedBytesAtOnce) hash.update(await store.range(path, start, Math.min(hashedBytesAtOnce, bytes - start)));
  return hash.digest('hex');
}

/** Equal for equal results: names and hashes of the files, whatever their order. */
function contentSha256(files: readonly FileEntry[]): string {
  const list = files.map(({ path, sha256 }) => [path, sha256] as const).sort(([a], [b]) => (a < b ? -1 : 1));
  return sha256(canonicalJson(list));
}

function configSchema(stage: StageName): z.ZodType {
  return stageSpec.options.find((option) => option.shape.stage.value === stage)!.shape.config;
}

function receiptPath(id: ArtifactId, shard: number): string {
  return artifactPath(id, `receipts/${String(shard).padStart(5, '0')}.json`);
}

async function readJson<Schema extends z.ZodType>(store: ArtifactStore, path: string, schema: Schema): Promise<z.infer<Schema>> {
  const text = Buffer.from(await store.get(path)).toString();
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw malformed(`${store.uri}/${path}`, `not JSON: ${(error as Error).message}`);
  }
  return parseAs(schema, value, `${store.uri}/${path}`);
}

function parseAs<Schema extends z.ZodType>(schema: Schema, value: unknown, what: string): z.infer<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw malformed(what, parsed.error.issues.map((issue) => `${issue.path.join('.') || '(all of it)'}: ${issue.message}`).join('; '));
}

function malformed(what: string, why: string): UserError {
  return new UserError(`${what} is malformed: ${why}`, 'If nobody edited it, delete it (or its artifact folder) and run again: only what is missing is made anew.');
}

async function orNull<T>(reading: Promise<T>): Promise<T | null> {
  try {
    return await reading;
  } catch (error) {
    if (error instanceof NotFoundError) return null;
    throw error;
  }
}

function toJson(value: unknown): Uint8Array {
  return Buffer.from(`${JSON.stringify(value, null, 2)}\n`);
}

function sha256(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}
