// Takes damaged pieces out of a store, so that the next run makes them anew. An artifact without its manifest does not
// exist; of one that is made shard by shard the sound shards keep their receipts and are not made again.
import { artifactPath, listReceipts, type VerificationProblem } from '../data/artifact.ts';
import type { ArtifactStore } from '../data/artifactStore.ts';
import { UserError } from '../schemas/errors.ts';
import type { ArtifactId, StageName } from '../schemas/stages.ts';

/** Stages whose shards stand alone; of the others the steps between were deleted when they were finished. */
const madeByShard: ReadonlySet<StageName> = new Set(['tokenize', 'sampleActivations']);

/** Removes what `problems` name; returns a line for each artifact, saying what was removed. */
export async function removeDamaged(store: ArtifactStore, problems: readonly VerificationProblem[]): Promise<string[]> {
  const artifacts = new Map(problems.map(({ artifact }) => [artifactPath(artifact, ''), artifact]));
  const lines: string[] = [];
  for (const [folder, artifact] of artifacts) {
    const damaged = new Set(problems.filter(({ path }) => path.startsWith(folder)).map(({ path }) => path));
    lines.push(madeByShard.has(artifact.stage) ? await removeShards(store, artifact, damaged) : await removeAll(store, artifact));
  }
  return lines;
}

async function removeShards(store: ArtifactStore, artifact: ArtifactId, damaged: ReadonlySet<string>): Promise<string> {
  // The manifest first: should this be interrupted, nothing claims to be whole.
  await store.delete(artifactPath(artifact, 'manifest.json'));
  const receipts = await listReceipts(store, artifact).catch((error: unknown) => {
    if (error instanceof UserError) return undefined;
    throw error;
  });
  if (receipts === undefined) return removeAll(store, artifact);
  const shards: number[] = [];
  for (const { shard, files } of receipts) {
    if (!files.some(({ path }) => damaged.has(artifactPath(artifact, path)))) continue;
    await store.delete(artifactPath(artifact, `receipts/${String(shard).padStart(5, '0')}.json`));
    for (const { path } of files) await store.delete(artifactPath(artifact, path));
    shards.push(shard);
  }
  return `removed from ${artifact.stage}/${artifact.key}: ${shards.length === 0 ? 'its manifest' : `shard ${shards.join(', ')}`}`;
}

async function removeAll(store: ArtifactStore, artifact: ArtifactId): Promise<string> {
  await store.deletePrefix(artifactPath(artifact, ''));
  return `removed ${artifact.stage}/${artifact.key}`;
}
