// Training as a sequence of segment activities between milestones, so that the history itself shows the loss by segment,
// and a pause, a crash or a new worker costs at most the steps since the last checkpoint.
import { continueAsNew } from '@temporalio/workflow';
import type { SegmentResult } from '../schemas/jobs.ts';
import type { StageInput } from '../schemas/progress.ts';
import { isLong } from './longHistory.ts';
import type { StageControl } from './stageControl.ts';

/** What a training workflow hands on when it continues as new. */
export interface TrainingResume {
  /** The last milestone that is behind. */
  step: number;
  watchers: string[];
  paused: boolean;
}

/**
 * Runs `segment` up to each milestone after `resume.step`, in order, and `after` at each. Continues the workflow as new
 * when its history has grown long.
 */
export async function runSegments(
  control: StageControl,
  milestones: readonly number[],
  resume: TrainingResume | undefined,
  segment: (toStep: number, summary: string) => Promise<SegmentResult>,
  after: (step: number) => Promise<void> = async () => undefined,
): Promise<void> {
  const total = milestones.at(-1) ?? 0;
  let from = resume?.step ?? 0;
  control.paused ||= resume?.paused ?? false;
  control.report({ state: 'running', done: from, total, unit: 'steps' });
  for (const toStep of milestones.filter((step) => step > from)) {
    await renewIfLong(control, from);
    const { step, metrics } = await control.pausable(() => segment(toStep, `steps ${from}→${toStep}`));
    control.report({ done: step, metrics });
    await after(toStep);
    from = toStep;
  }
}

/** Continues a training as new from a step on, when its history has grown long. */
export async function renewIfLong({ input, watchers, paused }: StageControl, step: number): Promise<void> {
  if (isLong()) await continueAsNew<(input: StageInput, resume: TrainingResume) => Promise<unknown>>(input, { step, watchers: [...watchers], paused });
}
