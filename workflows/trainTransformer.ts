// Tokens → a transformer, one segment activity between two evaluations.
import type { StageInput, StageResult } from '../schemas/progress.ts';
import { training } from './activityProxies.ts';
import { policies } from './policies.ts';
import { runSegments, type TrainingResume } from './segments.ts';
import { makeArtifact } from './stage.ts';

/** Stage workflow `trainTransformer`. */
export async function trainTransformer(input: StageInput, resume?: TrainingResume): Promise<StageResult> {
  return makeArtifact(
    'trainTransformer',
    input,
    'steps',
    async (control, plan, artifact) => {
      await runSegments(control, plan.milestones, resume, (toStep, summary) =>
        training.trainTransformerSegment.executeWithOptions(control.options(policies.segment, summary), [{ artifact, toStep }]),
      );
      return [];
    },
    resume?.watchers,
  );
}
