// When training diverges: stop with what, where and on which data, or go back and halve the learning rate. The result must
// not depend on where a run was killed, so training goes back to a milestone (the last one before the last update), which
// the configuration alone decides, never to the newest checkpoint; and the rate at a step follows from the list of
// divergences alone, so any checkpoint on the way to the milestone will do.
import { artifactPath } from '../data/artifact.ts';
import type { TensorInput } from '../data/safetensors.ts';
import type { SaeConfig } from '../schemas/config.ts';
import type { Divergence } from '../schemas/divergence.ts';
import { UserError } from '../schemas/errors.ts';
import type { ArtifactId } from '../schemas/stages.ts';
import type { JobContext } from './context.ts';

const mostHalvings = 10;

export interface Diverged {
  /** 0-based. */
  step: number;
  /** What was not finite: `loss NaN`. */
  cause: string;
  /** Whether it came of the step's own update; if not, of the weights it found, or the data. */
  afterUpdate: boolean;
}

/** The data of a step. */
export interface BatchProvenance {
  /** For a person, a clause. */
  summary: string;
  /** Where each of its vectors or sequences comes from, for work/divergence.json. */
  items: unknown[];
}

export interface DivergingTraining {
  id: ArtifactId;
  /** For a person: `transformer` or `SAE`. */
  what: string;
  /** Where the configuration has learningRate and onDivergence. */
  configPath: string;
  onDivergence: SaeConfig['onDivergence'];
  milestones: readonly number[];
  state: { divergences: Divergence[] };
}

/** What the configured learning rate is multiplied by at a 0-based step: 1/2 for each divergence at whose milestone or after it the step is. */
export function learningRateScaleAt(divergences: readonly Divergence[], step: number): number {
  return 0.5 ** divergences.filter(({ rolledBackTo }) => rolledBackTo <= step).length;
}

/** The milestones whose checkpoints a training may have to go back to at `step`: the last one, and the one before it in case the last is spoilt already. */
export function pinnedSteps({ onDivergence, milestones }: Pick<DivergingTraining, 'onDivergence' | 'milestones'>, step: number): number[] {
  return onDivergence === 'halveLearningRate' ? [0, ...milestones.filter((milestone) => milestone <= step)].slice(-2) : [];
}

/**
 * Whether the tensors of a checkpoint after `steps` steps are not finite. Under `halveLearningRate` only a milestone's are
 * looked at: where other checkpoints fall must not decide where training goes back.
 */
export function divergedInTensors({ onDivergence }: Pick<DivergingTraining, 'onDivergence'>, steps: number, milestone: boolean, tensors: Record<string, TensorInput>): Diverged | undefined {
  const spoilt = milestone || onDivergence === 'fail' ? spoiltTensor(tensors) : undefined;
  return spoilt === undefined ? undefined : { step: steps - 1, afterUpdate: true, cause: `${spoilt} is not finite after the step` };
}

/**
 * The training's divergences with this one added; `rolledBackTo` of the last says where it goes on. Writes where the batch
 * comes from to work/divergence.json.
 *
 * @param checkpointStep step of the newest checkpoint, 0 for none
 * @throws UserError under `fail`, after too many halvings, and where no learning rate would help
 */
export async function divergencesWith(training: DivergingTraining, { step, cause, afterUpdate }: Diverged, batch: BatchProvenance, checkpointStep: number, { store }: JobContext): Promise<Divergence[]> {
  const { id, what, configPath, onDivergence, milestones, state: { divergences } } = training;
  const path = artifactPath(id, 'work/divergence.json');
  await store.put(path, Buffer.from(`${JSON.stringify({ step, cause, batch: batch.items }, null, 1)}\n`));
  const updates = afterUpdate ? step + 1 : step;
  const rolledBackTo = [0, ...milestones].filter((milestone) => milestone < updates).at(-1);
  const refuse = (why: string, remedy: string) => {
    const kept = checkpointStep === 0 ? '' : `The checkpoint of step ${checkpointStep} is good and is kept. `;
    return new UserError(`${what} training diverged at step ${step}: ${cause}${why}. It read ${batch.summary}; all of it is listed in ${store.uri}/${path}.`, kept + remedy);
  };
  const lower = `Lower ${configPath}.learningRate`;
  if (onDivergence === 'fail') throw refuse('', `${lower}, warm up for longer, or set ${configPath}.onDivergence to halveLearningRate.`);
  if (rolledBackTo === undefined) throw refuse(', with the initial weights', 'No learning rate mends that: look at the data, and at the configuration of the loss.');
  if (divergences.length === mostHalvings) throw refuse(`, after the learning rate was halved ${mostHalvings} times`, `${lower} by far.`);
  const learningRateScale = learningRateScaleAt(divergences, rolledBackTo) / 2;
  return [...divergences, { step, cause, rolledBackTo, learningRateScale }];
}

/** For a person, the first tensor of a checkpoint that holds a NaN or an infinity. */
function spoiltTensor(tensors: Record<string, TensorInput>): string | undefined {
  const spoilt = Object.keys(tensors).find((name) => !allFinite(tensors[name]!.data));
  return spoilt?.replace(/^m\./, "Adam's first moment of ").replace(/^v\./, "Adam's second moment of ").replace(/^param\./, '');
}

function allFinite(data: TensorInput['data']): boolean {
  if (!(data instanceof Float32Array)) return true;
  for (let index = 0; index < data.length; index++) if (!Number.isFinite(data[index])) return false;
  return true;
}
