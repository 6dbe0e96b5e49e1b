// What a run changed against the one of its name before it: nothing, or a comparison of each SAE. A run is done whether or
// not this succeeds: what is missing is said, with its reason.
import { isCancellation } from '@temporalio/workflow';
import type { Changes, PreviousRun } from '../schemas/comparison.ts';
import type { PipelineConfig } from '../schemas/config.ts';
import type { StageResult } from '../schemas/progress.ts';
import { comparisons } from './activityProxies.ts';
import { describePrevious } from './describeChanges.ts';
import { describeFailure, wasCancelled } from './failures.ts';
import { atPriority, policies } from './policies.ts';

type SaeChange = Changes['saes'][number];

/**
 * Compares a run whose stages are done with the last one published under its name. Fails only by a cancellation.
 *
 * @param stages in the order of the pipeline; the n-th exportDashboard belongs to the n-th of config.saes
 */
export async function changesSincePrevious(config: PipelineConfig, stages: readonly StageResult[]): Promise<Changes> {
  let previous: PreviousRun | null;
  try {
    previous = await comparisons.findPreviousRun.executeWithOptions(atPriority(policies.comparison, config.execution.priority, 'the run before'), [{ run: config.name }]);
  } catch (error) {
    throwIfCancelled(error);
    return { previous: null, nothingNew: false, summary: `the run before could not be looked up, so nothing is compared: ${describeFailure(error)}`, saes: [] };
  }
  if (previous === null) return { previous, nothingNew: false, summary: `the first run called ${config.name} in this store: there is none to compare it with`, saes: [] };
  const { configHash, workflowId, finishedAt } = previous;
  const reference = { configHash, ...(workflowId === undefined ? {} : { workflowId }), ...(finishedAt === undefined ? {} : { finishedAt }) };
  const nothingNew = sameArtifacts(previous, stages);
  const saes = nothingNew ? [] : await compareAll(config, stages, previous);
  return { previous: reference, nothingNew, summary: summaryOf(reference, nothingNew, stages, saes), saes };
}

async function compareAll({ saes, execution }: PipelineConfig, stages: readonly StageResult[], previous: PreviousRun): Promise<SaeChange[]> {
  const dashboards = stages.filter(({ artifact }) => artifact.stage === 'exportDashboard');
  return Promise.all(saes.map(({ name }, index) => compareOne(name, dashboards[index]!.artifact.key, previous, saes.length, execution.priority)));
}

async function compareOne(name: string, after: string, { saes }: PreviousRun, count: number, priority: number): Promise<SaeChange> {
  // An only SAE that was renamed is still the one to compare with.
  const counterpart = saes.find((sae) => sae.name === name) ?? (saes.length === 1 && count === 1 ? saes[0] : undefined);
  if (counterpart === undefined) return { name, comparison: null, note: `the run before had no SAE called ${name}` };
  if (counterpart.dashboard === after) return { name, comparison: null, note: 'the same as before' };
  try {
    const made = await comparisons.compareSaes.executeWithOptions(atPriority(policies.comparison, priority, `compare SAE ${name} with the run before`), [{ before: counterpart.dashboard, after }]);
    return { name, comparison: made, note: made.reason };
  } catch (error) {
    throwIfCancelled(error);
    return { name, comparison: null, note: `the comparison is missing: ${describeFailure(error)}` };
  }
}

function sameArtifacts(previous: PreviousRun, stages: readonly StageResult[]): boolean {
  return previous.stages.length === stages.length && stages.every(({ artifact }, index) => artifact.key === previous.stages[index]!.key);
}

function summaryOf(previous: NonNullable<Changes['previous']>, nothingNew: boolean, stages: readonly StageResult[], saes: readonly SaeChange[]): string {
  const made = stages.filter(({ cached }) => !cached).map(({ artifact }) => artifact.stage);
  const before = describePrevious(previous);
  if (nothingNew) return made.length === 0 ? `nothing new since ${before}: every stage was found` : `nothing new since ${before}; made again, for it was gone: ${made.join(', ')}`;
  const compared = saes.filter(({ comparison }) => comparison !== null).length;
  return `${made.length === 0 ? 'every stage was found, but not those of' : 'changed since'} ${before}; ${compared} of ${saes.length} SAEs compared`;
}

function throwIfCancelled(error: unknown): void {
  if (isCancellation(error) || wasCancelled(error)) throw error;
}
