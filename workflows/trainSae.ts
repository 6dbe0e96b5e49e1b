// Activations → a sparse autoencoder: initial weights, segments, and between them the resamplings of dead neurons, each an
// activity of its own with its record as its result.
import type { StageResult, StagesResult } from '../schemas/progress.ts';
import { training } from './activityProxies.ts';
import { policies } from './policies.ts';
import { runSegments, type TrainingResume } from './segments.ts';
import { makeArtifact } from './stage.ts';
import { trainSupplied } from './suppliedTraining.ts';

/** Stage workflow `trainSae`: takes a stage's input, or what `pipeline` takes. */
export async function trainSae(input?: unknown, resume?: TrainingResume): Promise<StageResult | StagesResult> {
  return makeArtifact(
    'trainSae',
    input,
    'steps',
    async (control, plan, artifact) => {
      if (plan.supply !== undefined) {
        await trainSupplied(control, plan, artifact, resume);
        return [];
      }
      const options = (summary: string) => control.options(policies.segment, summary);
      if (resume === undefined) await control.pausable(() => training.initialiseSae.executeWithOptions(options('initial weights'), [{ artifact }]));
      await runSegments(
        control,
        plan.milestones,
        resume,
        (toStep, summary) => training.trainSaeSegment.executeWithOptions(options(summary), [{ artifact, toStep }]),
        async (step) => {
          if (!plan.resamplings.includes(step)) return;
          await control.pausable(() => training.resampleSae.executeWithOptions(options(`resampling at step ${step}`), [{ artifact, step }]));
        },
      );
      return [];
    },
    resume?.watchers,
  );
}
