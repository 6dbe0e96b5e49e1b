// Floating-point operations of the transformer, on paper: what plans estimate with, and what sampling says it avoided.
import { paddedVocabSize, type ArchitectureConfig } from '../schemas/config.ts';
import { hookPattern } from '../schemas/hooks.ts';

/** Weights of the transformer that take part in matrix products, the tied unembedding once. */
export function matmulParameters({ nLayer, dModel, dMlp }: ArchitectureConfig, vocabSize: number): number {
  return nLayer * (4 * dModel ** 2 + 2 * dModel * dMlp) + paddedVocabSize(vocabSize) * dModel;
}

/** Floating-point operations of a forward pass for one token in a full context; a training step takes three times these. */
export function forwardFlopsPerToken(architecture: ArchitectureConfig, vocabSize: number): number {
  return 2 * matmulParameters(architecture, vocabSize) + architecture.nLayer * attentionFlopsPerToken(architecture);
}

/**
 * Floating-point operations to sample one prompt: whole layers below the hook's, in its own layer keys and values at all
 * positions and the rest at the kept ones, and nothing above.
 */
export function samplingFlopsPerPrompt(architecture: ArchitectureConfig, hook: string, positions: number): number {
  const { contextLength, dModel, dMlp } = architecture;
  const [, layer = '0', point = ''] = hookPattern.exec(hook) ?? [];
  const wholeLayer = 2 * (4 * dModel ** 2 + 2 * dModel * dMlp) + attentionFlopsPerToken(architecture);
  const below = Number(layer) * contextLength * wholeLayer;
  if (point === 'hook_resid_pre') return below;
  const keysAndValues = contextLength * 2 * 2 * dModel ** 2;
  const attended = 2 * dModel ** 2 + attentionFlopsPerToken(architecture);
  const projected = point === 'attn.hook_z' ? 0 : 2 * dModel ** 2;
  const mlpIn = point.startsWith('mlp.') || point === 'hook_mlp_out' || point === 'hook_resid_post' ? 2 * dModel * dMlp : 0;
  const mlpOut = point === 'hook_mlp_out' || point === 'hook_resid_post' ? 2 * dModel * dMlp : 0;
  return below + keysAndValues + positions * (attended + projected + mlpIn + mlpOut);
}

/** Scores and weighted values of one token: it attends to half the context on average. */
function attentionFlopsPerToken({ contextLength, dModel }: ArchitectureConfig): number {
  return 2 * 2 * (contextLength / 2) * dModel;
}
