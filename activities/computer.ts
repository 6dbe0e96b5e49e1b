// Who computed an artifact: noted in its work folder by the worker that did, read by the one that commits it.
import { z } from 'zod';
import { artifactPath } from '../data/artifact.ts';
import { NotFoundError, type ArtifactStore } from '../data/artifactStore.ts';
import type { ArtifactId } from '../schemas/stages.ts';
import type { ActivityDeps } from './deps.ts';

const computer = z.strictObject({ machine: z.string(), backend: z.string(), device: z.string(), threads: z.int().positive() });
export type Computer = z.infer<typeof computer>;

const noted = new Map<string, string>();

function notePath(id: ArtifactId): string {
  return artifactPath(id, 'work/computer.json');
}

/** Writes the note, once a process and artifact unless it changes. */
export async function noteComputer({ store, compute, machine }: ActivityDeps, id: ArtifactId): Promise<void> {
  const text = JSON.stringify({ machine: machine.machine, ...compute.backend() } satisfies Computer);
  const path = `${store.uri}/${notePath(id)}`;
  if (noted.get(path) === text) return;
  await store.put(notePath(id), Buffer.from(text));
  noted.set(path, text);
}

/** The note of the worker that computed last; null when the artifact needed no computing. */
export async function readComputer(store: ArtifactStore, id: ArtifactId): Promise<Computer | null> {
  try {
    return computer.parse(JSON.parse(Buffer.from(await store.get(notePath(id))).toString()));
  } catch (error) {
    if (error instanceof NotFoundError) return null;
    throw error;
  }
}
