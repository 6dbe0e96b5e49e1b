// Steps of an SAE's training between two milestones, with checkpoints on the way.
import { saeSchedule } from '../model/sae.ts';
import { UserError } from '../schemas/errors.ts';
import { breathe, StoppedError, type JobContext } from './context.ts';
import { resampleNow } from './saeResampling.ts';
import { batchAt, deadNow, saveTraining, zeroSums, type SaeTraining } from './saeTraining.ts';

/** Steps up to `toStep`, with checkpoints on the way and at the end. */
export async function trainTo(training: SaeTraining, toStep: number, context: JobContext): Promise<void> {
  const { config, state, totalSteps, lastFired } = training;
  const started = performance.now();
  const secondsBefore = state.seconds;
  const logEvery = Math.max(1, Math.ceil(config.segmentSteps / 20));
  let checkpointStep = training.step;
  while (training.step < toStep) {
    if (resamplingIsDue(training)) await resampleNow(training, context);
    const x = await batchAt(training, training.step);
    const rates = saeSchedule(training.step, totalSteps, config);
    const { loss, mse, l1, l0, fired } = training.trainer.step(x, training.step + 1, rates, state.lastL0);
    if (!Number.isFinite(loss)) {
      throw new UserError(`SAE training diverged at step ${training.step}: loss ${loss} (batch ${training.step} of the shuffled reader)`, 'The last good checkpoint is kept. Lower saes[].learningRate.');
    }
    for (let feature = 0; feature < fired.length; feature++) if (fired[feature]! > 0) lastFired[feature] = training.step;
    training.step++;
    state.lastL0 = l0;
    const { sums } = state;
    state.sums = { loss: sums.loss + loss, mse: sums.mse + mse, l1: sums.l1 + l1, l0: sums.l0 + l0, steps: sums.steps + 1 };
    const dead = deadNow(training).length;
    if (training.step % logEvery === 0 || training.step === toStep) {
      const { steps, ...total } = state.sums;
      state.log.push({ step: training.step, loss: total.loss / steps, mse: total.mse / steps, l1: total.l1 / steps, l0: total.l0 / steps, dead });
      state.sums = zeroSums;
    }
    context.report({ done: training.step, total: totalSteps, unit: 'steps', metrics: { loss, mse, l0, dead }, checkpointStep });
    await breathe();
    const stop = context.shouldStop();
    if (training.step === toStep || stop || training.step % config.checkpointEverySteps === 0) {
      state.seconds = secondsBefore + (performance.now() - started) / 1000;
      await saveTraining(training, context);
      checkpointStep = training.step;
    }
    if (stop && training.step < toStep) throw new StoppedError();
  }
}

/** True where the workflow's own resampling was lost with a crash between the two writes of its checkpoint: it is made again before going on. */
function resamplingIsDue({ step, config, state }: SaeTraining): boolean {
  return config.resampling.steps.includes(step) && !state.resamplings.some((record) => record.step === step);
}
