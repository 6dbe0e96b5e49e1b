// Ablation effects of a block of features, where they are shown or drawn: windows are read again in the order of the text,
// each once for all features, and nothing of a window is computed that no wanted effect needs.
import * as tf from '@tensorflow/tfjs-core';
import type { Firings } from '../data/featurePages.ts';
import { inReadingOrder } from '../data/firings.ts';
import type { TokenStream } from '../data/tokenStream.ts';
import { Ablation } from '../model/ablation.ts';
import type { Transformer } from '../model/transformer.ts';
import { breathe, StoppedError } from './context.ts';
import { sequences } from './transformerBatches.ts';

export interface AblatedModel {
  model: Transformer;
  hook: string;
  /** [features of the block, width of the hook] */
  decoder: tf.Tensor2D;
  tokens: TokenStream;
  contextLength: number;
  /** Cross-entropy of every token read, nats. */
  losses: Float32Array;
  batchWindows: number;
}

export interface AblationControl {
  shouldStop(): boolean;
  /** Takes the share that is done. */
  onProgress(share: number): void;
}

/** @param wanted of each feature, ascending indices of its firings; @returns of each feature, an effect a firing, 0 where it was not asked for */
export async function ablationEffects({ model, hook, decoder, tokens, contextLength, losses, batchWindows }: AblatedModel, firings: Firings[], wanted: number[][], { shouldStop, onProgress }: AblationControl): Promise<Float32Array[]> {
  const effects = firings.map(({ values }) => new Float32Array(values.length));
  const pairs = inReadingOrder(firings, losses.length, wanted);
  const pairsBefore = (window: number) => pairs.before[window * contextLength]!;
  const windows = Array.from({ length: Math.ceil(losses.length / contextLength) }, (_, window) => window).filter((window) => pairsBefore(window + 1) > pairsBefore(window));
  const ablation = new Ablation(model, hook, decoder);
  for (let start = 0; start < windows.length; start += batchWindows) {
    const inBatch = windows.slice(start, start + batchWindows);
    const batch = await sequences(tokens, inBatch.map((window) => window * contextLength), contextLength);
    const clean = new Float32Array(batch.tokens.length);
    inBatch.forEach((window, place) => clean.set(losses.subarray(window * contextLength, (window + 1) * contextLength), place * contextLength));
    // windows without a wanted effect have no pairs: those of a batch are next to each other
    const [first, end] = [pairsBefore(inBatch[0]!), pairsBefore(inBatch.at(-1)! + 1)];
    const feature = pairs.feature.subarray(first, end);
    const index = pairs.index.subarray(first, end);
    const [row, value] = [new Int32Array(end - first), new Float32Array(end - first)];
    let pair = 0;
    inBatch.forEach((window, place) => {
      for (; first + pair < pairsBefore(window + 1); pair++) {
        const { tokens: at, values } = firings[feature[pair]!]!;
        row[pair] = place * contextLength + (at[index[pair]!]! % contextLength);
        value[pair] = values[index[pair]!]!;
      }
    });
    const found = tf.tidy(() => ablation.effects(tf.tensor1d(batch.tokens, 'int32'), tf.tensor1d(batch.targets, 'int32'), batch.batch, clean, { row, feature, value }));
    found.forEach((effect, place) => (effects[feature[place]!]![index[place]!] = effect));
    onProgress(Math.min(1, (start + batchWindows) / windows.length));
    await breathe();
    if (shouldStop()) throw new StoppedError();
  }
  ablation.dispose();
  return effects;
}
