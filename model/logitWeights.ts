// What a feature writes to the logits directly: its decoder direction carried from the hook to the residual stream,
// centred, scaled by the final LayerNorm's gain, and unembedded (SPEC §6; LayerNorm by its diagonal approximation).
import * as tf from '@tensorflow/tfjs-core';
import { hookPlace } from '../schemas/hooks.ts';
import { matMul } from './kernels.ts';
import type { Transformer } from './transformer.ts';

/**
 * Logit weights of decoder rows. directions [n, width of the hook] → [n, vocabRows], not yet shifted to median 0.
 * For mlp.hook_pre the nonlinearity is taken as the identity. Call inside tf.tidy.
 */
export function logitWeights(model: Transformer, hook: string, directions: tf.Tensor2D): tf.Tensor2D {
  const residual = toResidual(model, hook, directions);
  const centred = tf.sub<tf.Tensor2D>(residual, tf.mean(residual, -1, true));
  return model.logits(tf.mul<tf.Tensor2D>(centred, model.parameters['transformer.ln_f.weight']!));
}

/** Directions at a hook as what they add to the residual stream directly: [n, width of the hook] → [n, dModel]. Call inside tf.tidy. */
export function toResidual(model: Transformer, hook: string, directions: tf.Tensor2D): tf.Tensor2D {
  const { layer, point } = hookPlace(hook);
  const through = (name: string) => matMul(directions, model.parameters[`transformer.h.${layer}.${name}.weight`] as tf.Tensor2D, false, true);
  if (point === 'mlp.hook_post' || point === 'mlp.hook_pre') return through('mlp.c_proj');
  if (point === 'attn.hook_z') return through('attn.c_proj');
  return directions;
}
