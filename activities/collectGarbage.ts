// What `saeflow gc` does, in a worker: so that a person can clean the store from Temporal's UI, or a schedule at night.
import { Context } from '@temporalio/activity';
import type { ArtifactStore } from '../data/artifactStore.ts';
import { amountOf, byKind, deleteGarbage, findGarbage } from '../data/garbage.ts';
import type { garbageInput, GarbageReport } from '../schemas/garbage.ts';
import type { z } from 'zod';
import { openStagesOf } from './openStages.ts';

/** A result of thousands of paths would be too large for a history. */
const shownPerKind = 5;
const shownSpared = 10;

/** Repeated after a kill, it deletes what is left, and counts only that. */
export async function collectGarbage(store: ArtifactStore, { delete: isDeleted, olderThan }: z.output<typeof garbageInput>): Promise<GarbageReport> {
  const { inUse } = await openStagesOf(Context.current().client);
  const { garbage, spared, unfinished } = await findGarbage(store, { olderThanMs: olderThan, inUse });
  const items = isDeleted ? await deleteGarbage(store, garbage) : garbage;
  const kinds = byKind(items).map(({ kind, items: ofKind }) => ({ kind, ...amountOf(ofKind), examples: ofKind.slice(0, shownPerKind).map(({ path }) => path) }));
  return { deleted: isDeleted, ...amountOf(items), kinds, renewed: garbage.length - items.length, spared: spared.slice(0, shownSpared), unfinished };
}
