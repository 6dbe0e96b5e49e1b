// The moment an artifact comes to exist: receipts and final files into one manifest, written last and only if absent.
// A worker that lost the race answers with the winner's. Only then is the work folder cleared away.
import { z } from 'zod';
import { readManifest, readSpec, refOf, writeManifest } from '../data/artifact.ts';
import { commitFiles, deleteWork } from '../data/commit.ts';
import { spentOn } from '../data/spent.ts';
import type { ArtifactRef, Manifest } from '../schemas/artifact.ts';
import { artifactId, stageVersions } from '../schemas/stages.ts';
import { readComputer } from './computer.ts';
import type { ActivityDeps } from './deps.ts';

const number = z.int().nonnegative();
export const commitInput = z.strictObject({ artifact: artifactId, shards: number, skippedShards: z.array(number) });
export type CommitInput = z.infer<typeof commitInput>;

/** Commits an artifact whose pieces are complete, but for `skippedShards`. Safe to repeat. */
export async function commitStage({ store, machine }: ActivityDeps, { artifact, shards, skippedShards }: CommitInput): Promise<ArtifactRef> {
  const manifest = (await readManifest(store, artifact)) ?? (await write().catch(orWinner));
  await deleteWork(store, artifact);
  return refOf(manifest, store.uri);

  /** A worker that committed meanwhile has cleared the pieces away that this one was reading. */
  async function orWinner(error: unknown): Promise<Manifest> {
    const winner = await readManifest(store, artifact);
    if (winner === null) throw error;
    return winner;
  }

  async function write(): Promise<Manifest> {
    const { config, inputs } = await readSpec(store, artifact);
    const { files, metrics, badLines, receipts } = await commitFiles(store, artifact);
    const computer = await readComputer(store, artifact);
    const { device, ...spent } = spentOn(receipts);
    return writeManifest(store, {
      stage: artifact.stage,
      stageVersion: stageVersions[artifact.stage],
      key: artifact.key,
      config,
      inputs,
      files,
      shards: { total: shards, skipped: skippedShards },
      metrics,
      badLines,
      provenance: {
        codeVersion: machine.codeVersion,
        machine: computer?.machine ?? machine.machine,
        device: computer?.device ?? device,
        backend: computer?.backend ?? 'none',
        threads: computer?.threads ?? 1,
        node: process.version,
        createdAt: new Date().toISOString(),
        ...spent,
      },
    });
  }
}
