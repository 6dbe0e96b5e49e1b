// What was made from an artifact, directly or through others: what a damaged byte puts in question. Nothing points
// forward in a store, so its manifests are read, all of the later stages.
import { UserError } from '../schemas/errors.ts';
import { stageNames, type ArtifactId } from '../schemas/stages.ts';
import { artifactPath, readManifest } from './artifact.ts';
import type { ArtifactStore } from './artifactStore.ts';

const manifestsAtOnce = 16;

/** The finished artifacts of a store whose inputs lead to one of `roots`, in the order of the stages. */
export async function descendantsOf(store: ArtifactStore, roots: readonly ArtifactId[]): Promise<ArtifactId[]> {
  const reached = new Set(roots.map((root) => artifactPath(root, '')));
  const earliest = Math.min(...roots.map(({ stage }) => stageNames.indexOf(stage)));
  const descendants: ArtifactId[] = [];
  // An input is of an earlier stage, so that one pass finds them all.
  for (const stage of stageNames.slice(earliest + 1)) {
    for (const { id, inputs } of await manifestsOf(store, stage)) {
      if (reached.has(artifactPath(id, '')) || !inputs.some((input) => reached.has(artifactPath(input, '')))) continue;
      reached.add(artifactPath(id, ''));
      descendants.push(id);
    }
  }
  return descendants;
}

/** The artifacts that a manifest, or a part of one, names as inputs; a corpus is none. */
export function inputsOf({ inputs }: { inputs: Record<string, string> }): ArtifactId[] {
  return stageNames.flatMap((stage) => (inputs[stage] === undefined ? [] : [{ stage, key: inputs[stage] }]));
}

async function manifestsOf(store: ArtifactStore, stage: ArtifactId['stage']): Promise<{ id: ArtifactId; inputs: ArtifactId[] }[]> {
  const keys = (await store.list(`${stage}/`)).flatMap(({ path }) => /^[^/]+\/([0-9a-f]{64})\/manifest\.json$/.exec(path)?.[1] ?? []);
  const found: { id: ArtifactId; inputs: ArtifactId[] }[] = [];
  for (let at = 0; at < keys.length; at += manifestsAtOnce) {
    const some = keys.slice(at, at + manifestsAtOnce).map(async (key) => ({ id: { stage, key }, inputs: await inputsRead(store, { stage, key }) }));
    found.push(...(await Promise.all(some)));
  }
  return found;
}

async function inputsRead(store: ArtifactStore, id: ArtifactId): Promise<ArtifactId[]> {
  try {
    const manifest = await readManifest(store, id);
    return manifest === null ? [] : inputsOf(manifest);
  } catch (error) {
    // One that can't be read is itself what `saeflow verify` reports.
    if (error instanceof UserError) return [];
    throw error;
  }
}
