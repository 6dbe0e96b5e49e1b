// The last look of a run at the one before it: which that was, and how its SAEs differ. A comparison that is in the store
// is answered without a compute process.
import { z } from 'zod';
import { comparisonKey, readComparison } from '../data/comparison.ts';
import type { ComparedKeys, SaeComparison } from '../schemas/comparison.ts';
import type { ActivityDeps } from './deps.ts';
import { runJob } from './runJob.ts';

export const previousRunInput = z.strictObject({ run: z.string().min(1) });
export type PreviousRunInput = z.infer<typeof previousRunInput>;

/** Finds the comparison of two dashboards' SAEs, or has it made. */
export async function compareSaes(deps: ActivityDeps, keys: ComparedKeys): Promise<SaeComparison> {
  const { store } = deps;
  const found = await readComparison(store, comparisonKey(keys));
  if (found !== null) return found;
  return runJob(deps, { kind: 'compareSaes', artifact: { stage: 'exportDashboard', key: keys.after }, storeUri: store.uri, before: keys.before });
}
