// Training state that survives kill -9 at any moment: tensors as safetensors, then a receipt with their hash and the
// rest of the state. A checkpoint counts only when its receipt is there and its hash is right; the previous one is kept
// until two newer ones are complete.
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { UserError } from '../schemas/errors.ts';
import { sha256Hex, type ArtifactId } from '../schemas/stages.ts';
import { artifactPath } from './artifact.ts';
import { NotFoundError, type ArtifactStore } from './artifactStore.ts';
import { decodeSafetensors, encodeSafetensors, type StoredTensor, type TensorInput } from './safetensors.ts';

const kept = 2;

const checkpointReceipt = z.strictObject({ step: z.int().nonnegative(), sha256: sha256Hex, bytes: z.int().nonnegative(), state: z.unknown() });

/** What was saved at a step. */
export interface Checkpoint<State> {
  step: number;
  tensors: Record<string, StoredTensor>;
  state: State;
}

/**
 * Saves the state after `step` steps, replacing one of the same step, then deletes all but the newest two up to it and
 * those of the steps `pinned`.
 *
 * @param state anything JSON can hold exactly: finite numbers, no undefined inside arrays.
 */
export async function saveCheckpoint(store: ArtifactStore, id: ArtifactId, step: number, tensors: Record<string, TensorInput>, state: unknown, { pinned = [] }: { pinned?: readonly number[] } = {}): Promise<void> {
  const stored = await store.put(tensorsPath(id, step), encodeSafetensors(tensors));
  const receipt = checkpointReceipt.parse({ step, ...stored, state });
  await store.put(receiptPath(id, step), Buffer.from(`${JSON.stringify(receipt)}\n`));
  const older = (await stepsIn(store, id)).filter((other) => other <= step).slice(kept);
  await deleteCheckpoints(store, id, older.filter((old) => !pinned.includes(old)));
}

/** Deletes the checkpoints of later steps: training goes another way from `step` on. */
export async function deleteCheckpointsAfter(store: ArtifactStore, id: ArtifactId, step: number): Promise<void> {
  await deleteCheckpoints(store, id, (await stepsIn(store, id)).filter((other) => other > step));
}

async function deleteCheckpoints(store: ArtifactStore, id: ArtifactId, steps: number[]): Promise<void> {
  for (const step of steps) {
    // The receipt goes first: it must never name tensors that are gone.
    await store.delete(receiptPath(id, step));
    await store.delete(tensorsPath(id, step));
  }
}

/**
 * The newest complete checkpoint, at `atMost` steps if given; null when there is none. A damaged one is named on stderr
 * and the one before it is taken.
 *
 * @throws UserError when its state does not fit `stateSchema`: older checkpoints would not either.
 */
export async function latestCheckpoint<State>(store: ArtifactStore, id: ArtifactId, stateSchema: z.ZodType<State>, { atMost = Infinity }: { atMost?: number } = {}): Promise<Checkpoint<State> | null> {
  for (const step of (await stepsIn(store, id)).filter((candidate) => candidate <= atMost)) {
    const found = await readCheckpoint(store, id, step);
    if ('damage' in found) {
      process.stderr.write(`warning: checkpoint ${store.uri}/${tensorsPath(id, step)} is left out: ${found.damage}\n`);
      continue;
    }
    const state = stateSchema.safeParse(found.state);
    if (state.success) return { step, tensors: found.tensors, state: state.data };
    throw new UserError(
      `${store.uri}/${receiptPath(id, step)}: its state is not one this version reads: ${state.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ')}`,
      `Go on with the version that wrote it, or delete ${artifactPath(id, 'work/')} to start this stage anew.`,
    );
  }
  return null;
}

/** The step of the newest checkpoint, whether it is sound or not; undefined when there is none. */
export async function latestStep(store: ArtifactStore, id: ArtifactId): Promise<number | undefined> {
  return (await stepsIn(store, id))[0];
}

async function readCheckpoint(store: ArtifactStore, id: ArtifactId, step: number): Promise<Omit<Checkpoint<unknown>, 'step'> | { damage: string }> {
  try {
    const receipt = checkpointReceipt.parse(JSON.parse(Buffer.from(await store.get(receiptPath(id, step))).toString()));
    if (receipt.step !== step) return { damage: `its receipt is of step ${receipt.step}` };
    const bytes = await store.get(tensorsPath(id, step));
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    if (sha256 !== receipt.sha256) return { damage: `SHA-256 ${receipt.sha256} expected, ${sha256} found` };
    return { tensors: decodeSafetensors(bytes).tensors, state: receipt.state };
  } catch (error) {
    if (error instanceof NotFoundError || error instanceof SyntaxError || error instanceof z.ZodError || error instanceof UserError) return { damage: error.message };
    throw error;
  }
}

/**
 * Of an artifact's paths, the checkpoint files that no training goes on from: tensors without a receipt, receipts without
 * tensors, and all but the newest two whole checkpoints and those of the steps `pinned`. Kills between two writes leave them.
 */
export function surplusCheckpointFiles(id: ArtifactId, paths: readonly string[], pinned: readonly number[]): string[] {
  const prefix = artifactPath(id, 'work/checkpoint-');
  const files = paths.flatMap((path) => {
    const [, digits] = (path.startsWith(prefix) && /^(\d{9,})\.(?:json|safetensors)$/.exec(path.slice(prefix.length))) || [];
    return digits === undefined ? [] : [{ path, step: Number(digits) }];
  });
  const present = new Set(paths);
  const whole = [...new Set(files.map(({ step }) => step))].filter((step) => present.has(receiptPath(id, step)) && present.has(tensorsPath(id, step))).sort((a, b) => b - a);
  const needed = new Set([...whole.slice(0, kept), ...whole.filter((step) => pinned.includes(step))]);
  return files.filter(({ step }) => !needed.has(step)).map(({ path }) => path);
}

/** Steps that have a receipt, newest first. */
async function stepsIn(store: ArtifactStore, id: ArtifactId): Promise<number[]> {
  const prefix = artifactPath(id, 'work/checkpoint-');
  const steps = (await store.list(prefix)).map(({ path }) => /^(\d{9,})\.json$/.exec(path.slice(prefix.length))?.[1]);
  return steps.filter((digits) => digits !== undefined).map(Number).sort((a, b) => b - a);
}

function tensorsPath(id: ArtifactId, step: number): string {
  return artifactPath(id, `work/checkpoint-${String(step).padStart(9, '0')}.safetensors`);
}

function receiptPath(id: ArtifactId, step: number): string {
  return artifactPath(id, `work/checkpoint-${String(step).padStart(9, '0')}.json`);
}
