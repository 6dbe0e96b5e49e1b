// An SAE's training whose activation shards are made while it reads them: each job is preceded by a request for the shards
// it reads, and a segment ends where the next ones begin. Where segments end leaves no trace in the SAE.
import { ContinueAsNew } from '@temporalio/workflow';
import type { StagePlan } from '../schemas/progress.ts';
import type { ArtifactId } from '../schemas/stages.ts';
import type { Reading } from '../schemas/supply.ts';
import type { ReadingInput } from '../activities/shardSupply.ts';
import { shardFiles, training } from './activityProxies.ts';
import { policies } from './policies.ts';
import { renewIfLong, type TrainingResume } from './segments.ts';
import { ShardSupply } from './shardSupply.ts';
import type { StageControl } from './stageControl.ts';

/** Initial weights, segments and resamplings, from where `resume` or the newest checkpoint says. */
export async function trainSupplied(control: StageControl, plan: StagePlan, artifact: ArtifactId, resume: TrainingResume | undefined): Promise<void> {
  const { spec } = control.input;
  if (spec.stage !== 'trainSae') throw new TypeError(`${spec.stage} reads no activations`);
  const supply = new ShardSupply(control, plan.supply!, spec.inputs.sampleActivations);
  let leaves = true;
  try {
    await new SuppliedTraining(control, plan, artifact, supply).run(resume);
  } catch (error) {
    leaves = !(error instanceof ContinueAsNew);
    throw error;
  } finally {
    if (leaves) await supply.leave();
  }
}

class SuppliedTraining {
  private readonly control: StageControl;
  private readonly plan: StagePlan;
  private readonly artifact: ArtifactId;
  private readonly supply: ShardSupply;

  constructor(control: StageControl, plan: StagePlan, artifact: ArtifactId, supply: ShardSupply) {
    this.control = control;
    this.plan = plan;
    this.artifact = artifact;
    this.supply = supply;
  }

  async run(resume: TrainingResume | undefined): Promise<void> {
    const { control, artifact } = this;
    const { milestones, resamplings } = this.plan;
    const total = milestones.at(-1)!;
    control.paused ||= resume?.paused ?? false;
    control.report({ state: 'running', done: resume?.step ?? 0, total, unit: 'steps' });
    if (resume === undefined) {
      await this.job({ kind: 'initialise' }, 'initial weights', (options) => training.initialiseSae.executeWithOptions(options, [{ artifact, supplied: true }]));
    }
    let from = resume?.step ?? 0;
    for (let next = 0; next < milestones.length; ) {
      const toStep: number = milestones[next]!;
      if (from < toStep || toStep === total) from = await this.segment(from, toStep);
      if (from < toStep) continue;
      if (resamplings.includes(toStep) && from === toStep) {
        const { step, absent } = await this.job({ kind: 'resample', step: toStep }, `resampling at step ${toStep}`, (options) => training.resampleSae.executeWithOptions(options, [{ artifact, step: toStep, supplied: true }]));
        // The newest checkpoint was not the one of this step any more.
        if (absent) {
          from = step;
          continue;
        }
      }
      next++;
    }
  }

  /** One segment activity up to `toStep` at most; returns the step that training is at. */
  private async segment(from: number, toStep: number): Promise<number> {
    const { control, artifact } = this;
    await renewIfLong(control, from);
    const result = await this.job({ kind: 'segment', from, toStep, absent: false }, `steps to ${toStep}`, (options, { stopAt }) =>
      training.trainSaeSegment.executeWithOptions(options, [{ artifact, toStep, stopAt }]),
    );
    control.report({ done: result.step, metrics: result.metrics });
    return result.step;
  }

  /** A job with its shards there. A job that misses one all the same is asked for again from where it stands. */
  private async job<Result extends { step: number; absent?: true | undefined }>(first: ReadingInput['job'], summary: string, run: (options: ReturnType<StageControl['options']>, reading: Reading) => Promise<Result>): Promise<Result> {
    const { control, artifact } = this;
    let job = first;
    for (let absent = false; ; absent = true) {
      const reading = await shardFiles.planReading.executeWithOptions(control.options(policies.scan, `shards of: ${summary}`), [{ artifact, job }]);
      await this.supply.obtain(reading, absent);
      const saying = job.kind === 'segment' ? `steps ${reading.from}→${reading.stopAt}` : summary;
      const result = await control.pausable(() => run(control.options(policies.segment, saying), reading), () => this.supply.rest());
      if (!result.absent || (job.kind === 'resample' && result.step < job.step)) return result;
      if (job.kind === 'segment') job = { ...job, from: result.step, absent: true };
    }
  }
}
