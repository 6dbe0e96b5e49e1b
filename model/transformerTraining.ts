// One optimizer step of the transformer, as nanoGPT's train.py does it: gradient accumulation, clipping by global norm,
// AdamW with decay on matrices only, cosine schedule with warm-up.
import * as tf from '@tensorflow/tfjs-core';
import type { TransformerTrainingConfig } from '../schemas/config.ts';
import { adamStep, globalNorm, type Moments } from './adam.ts';
import type { Tensors, Transformer } from './transformer.ts';

/** Learning rate of 0-based `step`: linear warm-up, then cosine to minLearningRate at the last step [N]. */
export function learningRateAt(step: number, config: TransformerTrainingConfig): number {
  const { learningRate, minLearningRate, warmupSteps, steps } = config;
  if (step < warmupSteps) return (learningRate * (step + 1)) / (warmupSteps + 1);
  if (step >= steps) return minLearningRate;
  const progress = (step - warmupSteps) / (steps - warmupSteps);
  return minLearningRate + 0.5 * (1 + Math.cos(Math.PI * progress)) * (learningRate - minLearningRate);
}

/** Tokens and next tokens of one forward pass, int32 [batch · T] each. */
export interface TokenBatch {
  tokens: Int32Array;
  targets: Int32Array;
  batch: number;
}

export interface TrainStepResult {
  /** Mean over the batch, nats per token. */
  loss: number;
  /** Before clipping. */
  gradientNorm: number;
  learningRate: number;
  /** Set where loss or gradient norm is not finite: the parameters whose gradients are not. Nothing was updated. */
  nonFinite?: string[];
}

/**
 * One AdamW step over the accumulated micro-batches; replaces the model's parameters and the moments, unless loss or
 * gradient is not finite.
 *
 * @param step 0-based
 */
export function trainStep(
  model: Transformer,
  moments: Moments,
  microBatches: TokenBatch[],
  step: number,
  config: TransformerTrainingConfig,
): TrainStepResult {
  let loss = 0;
  let gradients: Tensors | undefined;
  for (const { tokens, targets, batch } of microBatches) {
    const inputs = [tf.tensor1d(tokens, 'int32'), tf.tensor1d(targets, 'int32')] as const;
    const result = model.lossAndGradients(inputs[0], inputs[1], batch);
    loss += result.loss.dataSync()[0]! / microBatches.length;
    tf.dispose([...inputs, result.loss]);
    gradients = gradients === undefined ? result.gradients : addInto(gradients, result.gradients);
  }
  const share = 1 / microBatches.length;
  const gradientNorm = globalNorm(gradients!) * share;
  const learningRate = learningRateAt(step, config);
  if (!Number.isFinite(loss + gradientNorm)) {
    const nonFinite = Object.keys(gradients!).filter((name) => !Number.isFinite(globalNorm({ [name]: gradients![name]! })));
    tf.dispose(gradients!);
    return { loss, gradientNorm, learningRate, nonFinite };
  }
  // torch.nn.utils.clip_grad_norm_ divides by norm + 1e-6
  const gradientScale = share * Math.min(1, config.gradientClip / (gradientNorm + 1e-6));
  const decay = (name: string) => (model.parameters[name]!.rank >= 2 ? learningRate * config.weightDecay : 0);
  adamStep(model.parameters, gradients!, moments, step + 1, learningRate, config, { decay, gradientScale });
  tf.dispose(gradients!);
  return { loss, gradientNorm, learningRate };
}

function addInto(total: Tensors, more: Tensors): Tensors {
  const sum = Object.fromEntries(Object.entries(total).map(([name, gradient]) => [name, tf.add(gradient, more[name]!)]));
  tf.dispose([total, more]);
  return sum;
}
