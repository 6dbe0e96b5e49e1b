// Files of activation shards that come and go (activations.retention consume): a shard's receipt stays, its file can be
// deleted when it has been read, and is made again when somebody asks. A marker says that absent files are meant to be.
import type { ShardsThere } from '../schemas/supply.ts';
import { UserError } from '../schemas/errors.ts';
import type { Receipt } from '../schemas/artifact.ts';
import type { ArtifactId } from '../schemas/stages.ts';
import { artifactPath, consumedMarker, listReceipts, readManifest, readReceipt } from './artifact.ts';
import { shardPath } from './activationSource.ts';
import type { ArtifactStore } from './artifactStore.ts';
import { specOf } from './inputs.ts';
import { promptPlanOf } from './promptPlans.ts';

/** A shard is written out of memory in seconds: what has not grown for this long is a dead writer's. */
const deadWriteMs = 20_000;

/** Which shards of a sampleActivations artifact were made, and of which the files are there. */
export async function shardsThere(store: ArtifactStore, id: ArtifactId): Promise<ShardsThere> {
  const spec = await specOf(store, id, 'sampleActivations');
  const total = Math.ceil((await promptPlanOf(store, spec)).prompts / spec.config.activations.promptsPerShard);
  const made = new Set((await listReceipts(store, id)).map(({ shard }) => shard));
  const present = (await presentShards(store, id)).filter((shard) => made.has(shard));
  return { total, present, made: made.size, retention: spec.config.activations.retention };
}

/** Shards whose files are there, ascending. */
export async function presentShards(store: ArtifactStore, id: ArtifactId): Promise<number[]> {
  const files = await store.list(artifactPath(id, 'shards/'));
  return files.flatMap(({ path }) => /(\d+)\.parquet$/.exec(path)?.[1] ?? []).map(Number).sort((a, b) => a - b);
}

/** Deletes files of shards, and what dead writers of others left beside them. */
export async function dropShards(store: ArtifactStore, id: ArtifactId, shards: readonly number[]): Promise<void> {
  await store.putIfAbsent(artifactPath(id, consumedMarker), Buffer.from('{}\n'));
  for (const shard of shards) await store.delete(artifactPath(id, shardPath(shard)));
  const folder = artifactPath(id, 'shards/');
  for (const write of await store.listUnfinished()) {
    if (write.path.startsWith(folder) && Date.now() - write.modifiedAt.getTime() > deadWriteMs) await store.deleteUnfinished(write);
  }
}

/** Whether a shard's file is there that retention does not want to be, now that its receipt is. */
export async function isOnlyForReceipt(store: ArtifactStore, id: ArtifactId, shard: number): Promise<boolean> {
  const { retention } = (await specOf(store, id, 'sampleActivations')).config.activations;
  return retention === 'consume' && (await store.exists(artifactPath(id, shardPath(shard))));
}

/** The receipt of a shard whose file is there too, or null. */
export async function receiptOfPresent(store: ArtifactStore, id: ArtifactId, shard: number): Promise<Receipt | null> {
  const receipt = await readReceipt(store, id, shard);
  return receipt !== null && (await store.exists(artifactPath(id, shardPath(shard)))) ? receipt : null;
}

/**
 * Checks a shard that was made again.
 *
 * @throws UserError when it is not what it was, having deleted it; then training on it would end with other bytes
 */
export async function requireSameAgain(store: ArtifactStore, id: ArtifactId, receipt: Receipt, again: Receipt): Promise<void> {
  const [before, now] = [receipt.files[0]!, again.files[0]!];
  if (before.sha256 === now.sha256) return;
  await store.delete(artifactPath(id, now.path));
  throw new UserError(
    `${store.uri}/${artifactPath(id, now.path)}, made again, differs from what it was: SHA-256 ${before.sha256} expected, ${now.sha256} made`,
    'Another processor, device, number of threads or version gives other last digits: let workers like those that made it first do this, or sample with activations.retention keep in another store.',
  );
}

/** Shards that a finished artifact names and whose files are not there. */
export async function absentShards(store: ArtifactStore, id: ArtifactId): Promise<number> {
  const manifest = await readManifest(store, id);
  if (manifest === null) return 0;
  const present = new Set(await presentShards(store, id));
  return manifest.files.filter(({ path }) => !present.has(Number(/(\d+)\.parquet$/.exec(path)?.[1]))).length;
}
