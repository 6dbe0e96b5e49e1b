// Ablation effects of a block of features, where they are shown or drawn: windows are read again in the order of the text,
// each once for all features, and nothing of a window is computed that no wanted effect needs.
import * as tf from '@tensorflow/tfjs-core';
import type { Firings } from '../data/featurePages.ts';
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
  const byWindow = new Map<number, { feature: number; index: number; token: number }[]>();
  wanted.forEach((indices, feature) => {
    for (const index of indices) {
      const token = firings[feature]!.tokens[index]!;
      const window = Math.floor(token / contextLength);
      const known = byWindow.get(window);
      if (known === undefined) byWindow.set(window, [{ feature, index, token }]);
      else known.push({ feature, index, token });
    }
  });
  const windows = [...byWindow.keys()].sort((a, b) => a - b);
  const ablation = new Ablation(model, hook, decoder);
  for (let start = 0; start < windows.length; start += batchWindows) {
    const inBatch = windows.slice(start, start + batchWindows);
    const batch = await sequences(tokens, inBatch.map((window) => window * contextLength), contextLength);
    const clean = Float32Array.from({ length: batch.tokens.length }, (_, row) => losses[inBatch[Math.floor(row / contextLength)]! * contextLength + (row % contextLength)]!);
    const pairs = inBatch.flatMap((window, place) =>
      byWindow.get(window)!.sort((a, b) => a.token - b.token || a.feature - b.feature).map(({ feature, index, token }) => ({ feature, index, row: place * contextLength + (token % contextLength) })),
    );
    const found = tf.tidy(() =>
      ablation.effects(tf.tensor1d(batch.tokens, 'int32'), tf.tensor1d(batch.targets, 'int32'), batch.batch, clean, {
        row: Int32Array.from(pairs, ({ row }) => row),
        feature: Int32Array.from(pairs, ({ feature }) => feature),
        value: Float32Array.from(pairs, ({ feature, index }) => firings[feature]!.values[index]!),
      }),
    );
    pairs.forEach(({ feature, index }, pair) => (effects[feature]![index] = found[pair]!));
    onProgress(Math.min(1, (start + batchWindows) / windows.length));
    await breathe();
    if (shouldStop()) throw new StoppedError();
  }
  ablation.dispose();
  return effects;
}
