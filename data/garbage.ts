// What a store holds that nobody will ask for again: kills leave it, and nothing else collects it. Found by what the
// manifests say, never by guessing: a file that a manifest names stays, and so does whatever a run could go on from.
import type { Manifest } from '../schemas/artifact.ts';
import { UserError } from '../schemas/errors.ts';
import { garbageKinds, type GarbageAmount, type GarbageKind, type UnfinishedArtifacts } from '../schemas/garbage.ts';
import { artifactId, stageNames, type ArtifactId } from '../schemas/stages.ts';
import { artifactPath, consumedMarker, readManifest, readSpec } from './artifact.ts';
import { NotFoundError, type ArtifactStore, type ListedObject, type UnfinishedWrite } from './artifactStore.ts';
import { surplusCheckpointFiles } from './checkpoint.ts';
import { planStage } from './plans.ts';

export interface Garbage {
  kind: GarbageKind;
  path: string;
  bytes: number;
  modifiedAt: Date;
  /** Of a write that never ended, which is no object. */
  unfinished?: UnfinishedWrite;
}

export interface GarbageSearch {
  /** What is younger stays: its writer may be alive. */
  olderThanMs: number;
  /** True for an artifact that somebody is making: nothing of it is garbage. */
  inUse(id: ArtifactId): boolean;
  nowMs?: number;
}

export interface GarbageFound {
  garbage: Garbage[];
  /** Artifacts left alone, and why. */
  spared: { artifact: string; why: string }[];
  unfinished: UnfinishedArtifacts;
}

/** Searches a whole store; deletes nothing. */
export async function findGarbage(store: ArtifactStore, search: GarbageSearch): Promise<GarbageFound> {
  const found: GarbageFound = { garbage: [], spared: [], unfinished: { artifacts: 0, bytes: 0 } };
  for (const write of await store.listUnfinished()) {
    const id = artifactOf(write.path);
    if (!isOld(write, search) || (id !== undefined && search.inUse(id))) continue;
    const { path, bytes, modifiedAt } = write;
    found.garbage.push({ kind: 'temporary', path, bytes, modifiedAt, unfinished: write });
  }
  for (const stage of stageNames) {
    for (const [id, objects] of byArtifact(await store.list(`${stage}/`))) await searchArtifact(store, id, objects, search, found);
  }
  return found;
}

/**
 * Deletes what findGarbage found. What was written anew meanwhile, or belongs to an artifact whose manifest is gone by
 * now, stays. Returns what was deleted.
 */
export async function deleteGarbage(store: ArtifactStore, garbage: readonly Garbage[]): Promise<Garbage[]> {
  const deleted: Garbage[] = [];
  for (const item of garbage.filter(({ unfinished }) => unfinished !== undefined)) {
    await store.deleteUnfinished(item.unfinished!);
    deleted.push(item);
  }
  const objects = garbage.filter(({ unfinished }) => unfinished === undefined);
  for (const [id, items] of byArtifact(objects)) {
    const present = new Map((await store.list(artifactPath(id, ''))).map(({ path, modifiedAt }) => [path, modifiedAt.getTime()]));
    const finished = present.has(artifactPath(id, 'manifest.json'));
    for (const item of items) {
      const unchanged = present.get(item.path) === item.modifiedAt.getTime();
      if (!unchanged || finished !== (item.kind !== 'checkpoint')) continue;
      await store.delete(item.path);
      deleted.push(item);
    }
  }
  return deleted;
}

export function amountOf(garbage: readonly Garbage[]): GarbageAmount {
  return { files: garbage.length, bytes: garbage.reduce((sum, { bytes }) => sum + bytes, 0) };
}

/** Those of each kind that there is. */
export function byKind(garbage: readonly Garbage[]): { kind: GarbageKind; items: Garbage[] }[] {
  const kinds = (Object.keys(garbageKinds) as GarbageKind[]).map((kind) => ({ kind, items: garbage.filter((item) => item.kind === kind) }));
  return kinds.filter(({ items }) => items.length > 0);
}

async function searchArtifact(store: ArtifactStore, id: ArtifactId, objects: ListedObject[], search: GarbageSearch, found: GarbageFound): Promise<void> {
  const artifact = `${id.stage}/${id.key}`;
  if (search.inUse(id)) return void found.spared.push({ artifact, why: 'a workflow is making it' });
  let manifest: Manifest | null;
  try {
    manifest = await readManifest(store, id);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return void found.spared.push({ artifact, why: error.message });
  }
  if (manifest === null) {
    found.unfinished.artifacts++;
    found.unfinished.bytes += objects.reduce((sum, { bytes }) => sum + bytes, 0);
    const surplus = await surplusCheckpoints(store, id, objects);
    for (const object of objects) if (surplus.has(object.path) && isOld(object, search)) found.garbage.push({ kind: 'checkpoint', ...object });
    return;
  }
  if (manifest.stage !== id.stage || manifest.key !== id.key) return void found.spared.push({ artifact, why: `its manifest is of ${manifest.stage}/${manifest.key}` });
  const named = new Set(manifest.files.map(({ path }) => artifactPath(id, path)));
  for (const object of objects) {
    const kind = kindOf(object.path.slice(artifactPath(id, '').length));
    if (kind !== undefined && !named.has(object.path) && isOld(object, search)) found.garbage.push({ kind, ...object });
  }
}

/** What a file of a finished artifact is that its manifest does not name; undefined for what belongs to every artifact. */
function kindOf(path: string): GarbageKind | undefined {
  if (path.startsWith('work/')) return 'work';
  // The page and the report beside a dashboard's data are published after its manifest is written.
  const published = path.startsWith('site/') && !path.startsWith('site/data/');
  const bookkeeping = ['spec.json', 'plan.json', 'manifest.json', consumedMarker].includes(path) || path.startsWith('receipts/');
  return published || bookkeeping ? undefined : 'unnamed';
}

/** Of a training that could go on. Where its milestones can't be worked out, nothing is surplus. */
async function surplusCheckpoints(store: ArtifactStore, id: ArtifactId, objects: ListedObject[]): Promise<Set<string>> {
  if (id.stage !== 'trainTransformer' && id.stage !== 'trainSae') return new Set();
  try {
    // A training that diverges may go back to a milestone: these stay, all of them.
    const { milestones } = await planStage(store, await readSpec(store, id));
    return new Set(surplusCheckpointFiles(id, objects.map(({ path }) => path), [0, ...milestones]));
  } catch (error) {
    if (error instanceof UserError || error instanceof NotFoundError) return new Set();
    throw error;
  }
}

function isOld({ modifiedAt }: { modifiedAt: Date }, { olderThanMs, nowMs = Date.now() }: GarbageSearch): boolean {
  return nowMs - modifiedAt.getTime() >= olderThanMs;
}

/** Groups by artifact; what lies elsewhere is nobody's and is left out. */
function byArtifact<Item extends { path: string }>(items: readonly Item[]): Map<ArtifactId, Item[]> {
  const groups = new Map<string, { id: ArtifactId; items: Item[] }>();
  for (const item of items) {
    const id = artifactOf(item.path);
    if (id === undefined) continue;
    const folder = artifactPath(id, '');
    const group = groups.get(folder) ?? { id, items: [] };
    group.items.push(item);
    groups.set(folder, group);
  }
  return new Map([...groups.values()].map(({ id, items: members }) => [id, members]));
}

function artifactOf(path: string): ArtifactId | undefined {
  const [stage, key, ...rest] = path.split('/');
  return rest.length === 0 ? undefined : artifactId.safeParse({ stage, key }).data;
}
