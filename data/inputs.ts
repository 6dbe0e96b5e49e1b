// What a stage reads of the stages before it: their specs and manifests. A missing one is named with the stage that
// makes it.
import type { z } from 'zod';
import type { Manifest } from '../schemas/artifact.ts';
import { UserError } from '../schemas/errors.ts';
import type { ArtifactId, SpecOf, StageName } from '../schemas/stages.ts';
import { artifactPath, readManifest, readSpec } from './artifact.ts';
import type { ArtifactStore } from './artifactStore.ts';

/** The spec of an artifact of a known stage. Throws UserError when the store has none, or one of another stage. */
export async function specOf<Stage extends StageName>(store: ArtifactStore, id: ArtifactId, stage: Stage): Promise<SpecOf<Stage>> {
  const spec = await readSpec(store, id);
  if (spec.stage !== stage) throw new UserError(`${id.stage}/${id.key}/spec.json is of stage ${spec.stage}, not ${stage}`, 'Delete the folder and run again.');
  return spec as SpecOf<Stage>;
}

/** The manifest of a finished artifact. Throws UserError when it is not finished. */
export async function manifestOf(store: ArtifactStore, stage: StageName, key: string): Promise<Manifest> {
  const manifest = await readManifest(store, { stage, key });
  if (manifest === null) throw new UserError(`${store.uri}/${stage}/${key} has no manifest: the ${stage} stage has not finished there`, `Run the ${stage} stage first, or point the worker at the store that holds it.`);
  return manifest;
}

/** The rows of a JSON lines file of an artifact. */
export async function rowsOf<Row>(store: ArtifactStore, id: ArtifactId, path: string, schema: z.ZodType<Row>): Promise<Row[]> {
  const text = Buffer.from(await store.get(artifactPath(id, path))).toString();
  return text.split('\n').filter((line) => line !== '').map((line) => schema.parse(JSON.parse(line)));
}
