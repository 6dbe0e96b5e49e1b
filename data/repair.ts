// Damage is repaired by making the damaged piece again: it is taken out here, its stage's workflow makes what is missing,
// and here again the result is held against the old manifest. An artifact that was made from the old bytes must never
// stand on other ones unsaid. Each step can be interrupted, and is then taken again.
import { z } from 'zod';
import { manifest as manifestSchema, type Manifest } from '../schemas/artifact.ts';
import { UserError } from '../schemas/errors.ts';
import { stageSpec, stageVersions, type ArtifactId, type StageName, type StageSpec } from '../schemas/stages.ts';
import { artifactPath, readManifest, readReceipt, readSpec, verifyFiles, writeSpec, type VerificationProblem } from './artifact.ts';
import { NotFoundError, type ArtifactStore } from './artifactStore.ts';
import { descendantsOf } from './descendants.ts';

/** Stages whose shards stand alone; of the others the steps between were deleted when they were finished. */
const madeByShard: ReadonlySet<StageName> = new Set(['tokenize', 'sampleActivations']);
/** Made again on another machine they may differ, and hours are in them: copies are kept until they are known to be equal. */
const trained: ReadonlySet<StageName> = new Set(['trainTransformer', 'trainSae']);
/** In an artifact's folder while it is being repaired. */
const oldManifest = 'before-repair.json';
const copies = 'before-repair/';
const copiedBytesAtOnce = 16 * 2 ** 20;

/** What is to be made again. */
export interface Removed {
  spec: StageSpec;
  /** The shards without a receipt now; 'all' where a stage is made in one piece. */
  shards: number[] | 'all';
  /** Shards the artifact was finished without, by someone's decision. */
  leftOut: number[];
}

/** How a repaired artifact compares with what it was. */
export interface Settled {
  /** Files that differ from before; undefined where the old manifest was lost. */
  changed: string[] | undefined;
  /** Artifacts that were made from it. */
  descendants: ArtifactId[];
  /** True where the old manifest was put back: what was made from the old bytes is in the store. */
  putBack: boolean;
}

/**
 * Takes what `problems` name out of an artifact, with the manifest, so that its stage makes just that again.
 *
 * @throws UserError, before anything is touched, where this version can't make the same again.
 */
export async function removeDamaged(store: ArtifactStore, id: ArtifactId, problems: readonly VerificationProblem[]): Promise<Removed> {
  const standing = await readSound(store, id, problems);
  const before = standing ?? (await readOld(store, id));
  const spec = await specOf(store, id, before);
  const leftOut = before?.shards.skipped ?? [];
  if (standing !== null) {
    await setAside(store, id, standing, new Set(problems.map(({ path }) => path)));
    const shards = await removePieces(store, id, problems);
    // Last: until here the artifact is as it was, but for more of its damage.
    await store.delete(artifactPath(id, 'manifest.json'));
    return { spec, shards, leftOut };
  }
  // Interrupted before: what was taken out then may be made already.
  if (before !== null) return { spec, shards: 'all', leftOut };
  const shards = await removePieces(store, id, await damagedPieces(store, id));
  await store.delete(artifactPath(id, 'manifest.json'));
  return { spec, shards, leftOut };
}

/** True from removeDamaged to settleRepair, through whatever interrupts the repair. */
export async function isBeingRepaired(store: ArtifactStore, id: ArtifactId): Promise<boolean> {
  return store.exists(artifactPath(id, oldManifest));
}

/** Compares a repaired artifact with its old manifest, and clears away what the repair kept. */
export async function settleRepair(store: ArtifactStore, id: ArtifactId): Promise<Settled> {
  const before = await readOld(store, id);
  const after = await readManifest(store, id);
  if (after === null) throw new Error(`${artifactPath(id, 'manifest.json')} is missing after its stage has finished`);
  const descendants = await descendantsOf(store, [id]);
  const changed = before === null ? undefined : changedFiles(before, after);
  const putBack = changed !== undefined && changed.length > 0 && descendants.length > 0;
  if (putBack) {
    for (const { path } of await store.list(artifactPath(id, copies))) await copy(store, path, path.replace(`/${copies}`, '/'));
    await store.put(artifactPath(id, 'manifest.json'), await store.get(artifactPath(id, oldManifest)));
  }
  await store.deletePrefix(artifactPath(id, copies));
  await store.delete(artifactPath(id, oldManifest));
  return { changed, descendants, putBack };
}

/** The manifest, if it is one whose list of files can be trusted. */
async function readSound(store: ArtifactStore, id: ArtifactId, problems: readonly VerificationProblem[]): Promise<Manifest | null> {
  if (problems.some(({ path }) => path === artifactPath(id, 'manifest.json'))) return null;
  return readManifest(store, id);
}

async function readOld(store: ArtifactStore, id: ArtifactId): Promise<Manifest | null> {
  try {
    return manifestSchema.parse(JSON.parse(Buffer.from(await store.get(artifactPath(id, oldManifest))).toString()));
  } catch (error) {
    if (error instanceof NotFoundError || error instanceof SyntaxError || error instanceof z.ZodError) return null;
    throw error;
  }
}

async function specOf(store: ArtifactStore, id: ArtifactId, before: Manifest | null): Promise<StageSpec> {
  const name = `${id.stage}/${id.key}`;
  if (before !== null && before.stageVersion !== stageVersions[id.stage]) {
    throw new UserError(
      `${name} was made by version ${before.stageVersion} of its stage, and this saeflow has version ${stageVersions[id.stage]}, which gives other bytes`,
      'Repair it with the saeflow that made it, put the file back from a copy, or run the same configuration again: it is then made under another key.',
    );
  }
  const written = await readSpec(store, id).catch((error: unknown) => {
    if (error instanceof NotFoundError || error instanceof UserError) return undefined;
    throw error;
  });
  if (written !== undefined) return written;
  if (before === null) throw new UserError(`of ${name} neither spec.json nor a manifest is left, so that it is not known what it was`, 'Run the same configuration again: what is missing is made anew.');
  const spec = stageSpec.parse({ stage: id.stage, config: before.config, inputs: before.inputs });
  await writeSpec(store, id, spec);
  return spec;
}

async function setAside(store: ArtifactStore, id: ArtifactId, manifest: Manifest, damaged: ReadonlySet<string>): Promise<void> {
  if (trained.has(id.stage)) {
    for (const { path } of manifest.files) {
      const kept = artifactPath(id, copies + path);
      if (!damaged.has(artifactPath(id, path)) && !(await store.exists(kept))) await copy(store, artifactPath(id, path), kept);
    }
  }
  await store.put(artifactPath(id, oldManifest), await store.get(artifactPath(id, 'manifest.json')));
}

/** Removes receipts of what is damaged, and the damaged files. A receipt that can't be read is damage too. */
async function removePieces(store: ArtifactStore, id: ArtifactId, problems: readonly VerificationProblem[]): Promise<Removed['shards']> {
  const damaged = new Set(problems.map(({ path }) => path));
  const shards: number[] = [];
  for (const { path } of await store.list(artifactPath(id, 'receipts/'))) {
    const shard = Number(/(\d+)\.json$/.exec(path)?.[1]);
    const receipt = await readReceipt(store, id, shard).catch((error: unknown) => {
      if (error instanceof UserError) return null;
      throw error;
    });
    if (madeByShard.has(id.stage) && receipt?.files.some((file) => damaged.has(artifactPath(id, file.path))) === false) continue;
    await store.delete(path);
    shards.push(shard);
  }
  for (const path of damaged) await store.delete(path);
  // A training goes on from its newest checkpoint, which is of other bytes if it is one of before.
  if (!madeByShard.has(id.stage)) await store.deletePrefix(artifactPath(id, 'work/'));
  return madeByShard.has(id.stage) ? shards : 'all';
}

/** Without a manifest, the receipts say what the files of each shard should be. */
async function damagedPieces(store: ArtifactStore, id: ArtifactId): Promise<VerificationProblem[]> {
  const problems: VerificationProblem[] = [];
  for (const { path } of await store.list(artifactPath(id, 'receipts/'))) {
    const receipt = await readReceipt(store, id, Number(/(\d+)\.json$/.exec(path)?.[1])).catch(() => null);
    problems.push(...(await verifyFiles(store, id, receipt?.files ?? [])));
  }
  return problems;
}

function changedFiles(before: Manifest, after: Manifest): string[] {
  const hashes = (manifest: Manifest) => new Map(manifest.files.map(({ path, sha256 }) => [path, sha256]));
  const [old, now] = [hashes(before), hashes(after)];
  return [...new Set([...old.keys(), ...now.keys()])].filter((path) => old.get(path) !== now.get(path)).sort();
}

async function copy(store: ArtifactStore, from: string, to: string): Promise<void> {
  const bytes = await store.size(from);
  await store.putPieces(
    to,
    (async function* () {
      for (let start = 0; start < bytes; start += copiedBytesAtOnce) yield await store.range(from, start, Math.min(copiedBytesAtOnce, bytes - start));
    })(),
  );
}
