// Tokens → a transformer, one segment activity between two evaluations.
import type { StageResult, StagesResult } from '../schemas/progress.ts';
import { training } from './activityProxies.ts';
import { policies } from './policies.ts';
import { runSegments, type TrainingResume } from './segments.ts';
import { makeArtifact } from './stage.ts';

/** Stage workflow `trainTransformer`: takes a stage's input, or what `pipeline` takes. */
export async function trainTransformer(input?: unknown, resume?: TrainingResume): Promise<StageResult | StagesResult> {
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
