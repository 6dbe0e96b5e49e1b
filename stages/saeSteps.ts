// Steps of an SAE's training between two milestones, with checkpoints on the way, and the way back when it diverges.
import { deleteCheckpointsAfter } from '../data/checkpoint.ts';
import { saeSchedule } from '../model/sae.ts';
import { breathe, StoppedError, type JobContext } from './context.ts';
import { divergedInTensors, divergencesWith, learningRateScaleAt, type Diverged } from './divergence.ts';
import { refuseBadVectors, vectorProvenance } from './saeProvenance.ts';
import { resampleNow } from './saeResampling.ts';
import { batchAt, checkpointTensors, deadNow, openTraining, saveTraining, waitingFraction, zeroSums, type SaeTraining } from './saeTraining.ts';

/**
 * Steps up to the milestone `toStep`, or to `stopAt` where that comes before it, with checkpoints on the way and at the
 * end. Changes `training` in place. `stopAt` leaves no trace in the result: where shards end must not.
 */
export async function trainTo(training: SaeTraining, toStep: number, context: JobContext, stopAt = toStep): Promise<void> {
  const { config } = training;
  const endStep = Math.min(toStep, stopAt);
  const started = performance.now();
  const secondsBefore = training.state.seconds;
  while (training.step < endStep) {
    if (resamplingIsDue(training)) await resampleNow(training, context);
    let diverged = await advance(training, toStep, context);
    training.state.seconds = secondsBefore + (performance.now() - started) / 1000;
    const stop = diverged === undefined && context.shouldStop();
    const milestone = isMilestone(training, toStep);
    if (diverged === undefined && (milestone || stop || training.step === endStep || training.step % config.checkpointEverySteps === 0)) {
      const tensors = checkpointTensors(training);
      diverged = divergedInTensors(config, training.step, milestone, tensors);
      if (diverged === undefined) await saveTraining(training, context, tensors);
    }
    if (diverged !== undefined) await goBack(training, diverged, context);
    if (stop && training.step < endStep) throw new StoppedError();
  }
}

/** One step. Answers with what was not finite, if anything was: the training then has to go back. */
async function advance(training: SaeTraining, toStep: number, context: JobContext): Promise<Diverged | undefined> {
  const { config, state, step, totalSteps, lastFired, trainer } = training;
  const asked = performance.now();
  const x = await batchAt(training, step);
  state.waitSeconds += (performance.now() - asked) / 1000;
  const schedule = saeSchedule(step, totalSteps, config);
  const learningRate = schedule.learningRate * learningRateScaleAt(state.divergences, step);
  const { loss, mse, l1, l0, fired, path, nonFinite } = trainer.step(x, step + 1, { ...schedule, learningRate }, state.lastL0);
  if (!Number.isFinite(loss) || nonFinite !== undefined) {
    return { step, afterUpdate: false, cause: `loss ${loss}${nonFinite === undefined ? '' : `, gradient of ${nonFinite}`} (learning rate ${learningRate})` };
  }
  for (let feature = 0; feature < fired.length; feature++) if (fired[feature]! > 0) lastFired[feature] = step;
  training.step++;
  state.lastL0 = l0;
  const { sums } = state;
  state.sums = { loss: sums.loss + loss, mse: sums.mse + mse, l1: sums.l1 + l1, l0: sums.l0 + l0, sparse: sums.sparse + (path === 'sparse' ? 1 : 0), steps: sums.steps + 1 };
  const dead = deadNow(training).length;
  const logEvery = Math.max(1, Math.ceil(config.segmentSteps / 20));
  if (training.step % logEvery === 0 || isMilestone(training, toStep)) {
    const { steps, ...total } = state.sums;
    state.log.push({ step: training.step, loss: total.loss / steps, mse: total.mse / steps, l1: total.l1 / steps, l0: total.l0 / steps, dead, learningRate, sparseShare: total.sparse / steps });
    state.sums = zeroSums;
    const documents = training.reader.distinctDocuments(step);
    if (documents !== undefined) state.diversity = { documents: state.diversity.documents + documents, batches: state.diversity.batches + 1 };
  }
  context.report({ done: training.step, total: totalSteps, unit: 'steps', metrics: { loss, mse, l0, dead, waitingFraction: waitingFraction(state) }, checkpointStep: training.checkpointStep });
  await breathe();
  // a milestone is what training goes back to, and the last one is the result: it has to be good
  if (!isMilestone(training, toStep) || trainer.losses(x, schedule.l1Coefficient).every(Number.isFinite)) return undefined;
  return { step, afterUpdate: true, cause: `the loss is not finite after the step (learning rate ${learningRate})` };
}

function isMilestone({ milestones, step }: SaeTraining, toStep: number): boolean {
  return step === toStep || milestones.includes(step);
}

/** Puts the training back to the milestone before the divergence, with the divergence noted, on disk too. Throws UserError where it is to stop. */
async function goBack(training: SaeTraining, diverged: Diverged, context: JobContext): Promise<void> {
  const { id, config, milestones, state, trainer, checkpointStep } = training;
  await refuseBadVectors(training, diverged.step, context);
  const batch = await vectorProvenance(training, diverged.step, context);
  const divergences = await divergencesWith({ id, what: 'SAE', configPath: 'saes[]', onDivergence: config.onDivergence, milestones, state }, diverged, batch, checkpointStep, context);
  trainer.dispose();
  Object.assign(training, await openTraining(training, context, divergences.at(-1)!.rolledBackTo));
  Object.assign(training.state, { divergences, seconds: state.seconds, waitSeconds: state.waitSeconds, traffic: state.traffic });
  await deleteCheckpointsAfter(context.store, id, training.step);
  await saveTraining(training, context);
}

/** True where the workflow's own resampling was lost with a crash between the two writes of its checkpoint: it is made again before going on. */
function resamplingIsDue({ step, config, state }: SaeTraining): boolean {
  return config.resampling.steps.includes(step) && !state.resamplings.some((record) => record.step === step);
}
