// What every stage does around its own work: check the input, look the artifact up, plan, and commit at the end. Started
// with a configuration, as a person does from Temporal's form, it makes what it needs first.
import { ApplicationFailure, ContinueAsNew, isCancellation } from '@temporalio/workflow';
import type { ArtifactRef } from '../schemas/artifact.ts';
import { stageInput, type StageInput, type StagePlan, type StageResult, type StagesResult, type StageState } from '../schemas/progress.ts';
import type { ArtifactId, StageName } from '../schemas/stages.ts';
import { scan, short } from './activityProxies.ts';
import { parseMessage } from './failures.ts';
import { makeStages } from './pipeline.ts';
import { policies } from './policies.ts';
import { StageControl } from './stageControl.ts';

/** Makes a stage's pieces in the store and returns the shards that were left out. */
export type StageWork = (control: StageControl, plan: StagePlan, artifact: ArtifactId) => Promise<number[]>;

/**
 * The life of a stage's workflow.
 *
 * @param input the stage's own, with a `spec`, or what `pipeline` takes: then the run as far as this stage.
 * @throws ApplicationFailure (non-retryable, `InvalidConfiguration`) when the input is not one of this stage.
 */
export async function makeArtifact(stage: StageName, input: unknown, unit: string, work: StageWork, watchers: readonly string[] = []): Promise<StageResult | StagesResult> {
  if (!isOfStage(input)) {
    const { config, configHash, stages } = await makeStages(input, stage);
    return { run: config.name, configHash, stages };
  }
  const parsed = parseMessage(stageInput, input, 'the input');
  if (parsed.spec.stage !== stage) {
    throw ApplicationFailure.nonRetryable(`spec.stage: this is the workflow ${stage} (got ${parsed.spec.stage}): start the workflow ${parsed.spec.stage}`, 'InvalidConfiguration');
  }
  const control = new StageControl(parsed, unit, watchers);
  try {
    const artifact = await findOrMake(control, work);
    await control.finish(artifact.cached ? 'cached' : 'done', artifact.artifact);
    return artifact;
  } catch (error) {
    if (!(error instanceof ContinueAsNew)) await control.finish(endStateOf(error));
    throw error;
  }
}

function isOfStage(input: unknown): input is StageInput {
  return typeof input === 'object' && input !== null && 'spec' in input;
}

async function findOrMake(control: StageControl, work: StageWork): Promise<{ artifact: ArtifactRef; cached: boolean }> {
  const { spec } = control.input;
  const plan = await short.planStage.executeWithOptions(control.options(policies.short), [spec]);
  control.plan = plan;
  control.report({ key: plan.key });
  if (plan.found !== null) return { artifact: plan.found, cached: true };
  const id: ArtifactId = { stage: spec.stage, key: plan.key };
  const skippedShards = await work(control, plan, id);
  return { artifact: await scan.commitStage.executeWithOptions(control.options(policies.scan), [{ artifact: id, shards: plan.shards, skippedShards }]), cached: false };
}

function endStateOf(error: unknown): StageState {
  const aborted = isCancellation(error) || (error instanceof Error && 'type' in error && error.type === 'Aborted');
  return aborted ? 'aborted' : 'failed';
}
