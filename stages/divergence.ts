// When training diverges: stop with what, where and on which data, or go back and halve the learning rate. The result must
// not depend on where a run was killed, so training goes back to a milestone, which the configuration alone decides, never
// to the newest checkpoint; and the rate at a step follows from the list of divergences, however they were come upon.
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
  /** Whether the step's own update may be to blame; if not, it is the weights it found, or the data. */
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

/** The last milestone at or before `step`, 0 when there is none. */
export function milestoneAt(milestones: readonly number[], step: number): number {
  return Math.max(0, ...milestones.filter((milestone) => milestone <= step));
}

/** The milestone whose checkpoint a training may have to go back to. */
export function pinnedStep({ onDivergence, milestones }: Pick<DivergingTraining, 'onDivergence' | 'milestones'>, step: number): { pinned?: number } {
  return onDivergence === 'halveLearningRate' ? { pinned: milestoneAt(milestones, step) } : {};
}

/** The name of the first tensor that holds a NaN or an infinity. */
export function spoiltTensor(tensors: Record<string, TensorInput>): string | undefined {
  return Object.keys(tensors).find((name) => !allFinite(tensors[name]!.data));
}

function allFinite(data: TensorInput['data']): boolean {
  if (!(data instanceof Float32Array)) return true;
  for (let index = 0; index < data.length; index++) if (!Number.isFinite(data[index])) return false;
  return true;
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
  const rolledBackTo = milestoneAt(milestones, step);
  const refuse = (why: string, remedy: string) => {
    const kept = checkpointStep === 0 ? '' : `The checkpoint of step ${checkpointStep} is good and is kept. `;
    return new UserError(`${what} training diverged at step ${step}: ${cause}${why}. It read ${batch.summary}; all of it is listed in ${store.uri}/${path}.`, kept + remedy);
  };
  const lower = `Lower ${configPath}.learningRate`;
  if (onDivergence === 'fail') throw refuse('', `${lower}, warm up for longer, or set ${configPath}.onDivergence to halveLearningRate.`);
  if (rolledBackTo === step && !afterUpdate) throw refuse(`, with the weights of milestone ${step} as they were`, `No learning rate mends that: look at the data, and at the configuration of the loss.`);
  if (divergences.length === mostHalvings) throw refuse(`, after the learning rate was halved ${mostHalvings} times`, `${lower} by far.`);
  return [...divergences, { step, cause, rolledBackTo, learningRateScale: 0.5 ** (divergences.length + 1) }];
}
