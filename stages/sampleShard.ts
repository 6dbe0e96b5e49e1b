// One shard of activations: its prompts through the model up to the hook, kept positions only, rows in a seeded order,
// as float16 Parquet. A pure function of (model, tokens, plan, seed, shard): made again anywhere, it has the same bytes.
import * as tf from '@tensorflow/tfjs-core';
import { encodeActivationShard } from '../data/activationShard.ts';
import { artifactPath } from '../data/artifact.ts';
import { maxFloat16 } from '../data/float16.ts';
import { PromptPlan } from '../data/promptPlan.ts';
import { documentIndexAt } from '../data/tokenStream.ts';
import type { Receipt } from '../schemas/artifact.ts';
import { UserError } from '../schemas/errors.ts';
import type { ArtifactId } from '../schemas/stages.ts';
import { specOf } from '../data/inputs.ts';
import { openModel, openTokens } from './artifacts.ts';
import { breathe, StoppedError, type JobContext } from './context.ts';
import { nameOf } from './transformerBatches.ts';

const maxFloat32 = 3.4028234663852886e38;

/** Samples prompts [shard · promptsPerShard, …) of the plan. */
export async function sampleShard(id: ArtifactId, shard: number, context: JobContext): Promise<Receipt> {
  const started = performance.now();
  const { store } = context;
  const { config, inputs } = await specOf(store, id, 'sampleActivations');
  const { activations } = config;
  const { tokens } = await openTokens(store, inputs.tokenize, 'train');
  const { model, architecture } = await openModel(store, inputs.trainTransformer);
  const { contextLength } = architecture;
  const plan = new PromptPlan(activations, config.seed, contextLength, tokens.length);
  const documents = await tokens.documents('train');
  const first = shard * activations.promptsPerShard;
  const prompts = Math.min(activations.promptsPerShard, plan.prompts - first);
  const kept = activations.positionsPerPrompt;
  const rows = prompts * kept;
  const order = plan.rowOrder(shard, rows);
  const place = new Uint32Array(rows);
  order.forEach((source, target) => (place[source] = target));

  let values: Float32Array | undefined;
  let d = 0;
  const document = new Int32Array(rows);
  const position = new Int32Array(rows);
  const token = new Int32Array(rows);
  for (let start = 0; start < prompts; start += activations.batchPrompts) {
    const batch = Math.min(activations.batchPrompts, prompts - start);
    const text = new Int32Array(batch * contextLength);
    const positions = new Int32Array(batch * kept);
    for (let row = 0; row < batch; row++) {
      const offset = plan.offset(first + start + row);
      text.set(await tokens.read(offset, contextLength), row * contextLength);
      plan.positions(first + start + row).forEach((at, index) => {
        const target = place[(start + row) * kept + index]!;
        positions[row * kept + index] = at;
        document[target] = documentIndexAt(documents, offset + at);
        position[target] = offset + at - documents[document[target]!]!.start;
        token[target] = text[row * contextLength + at]!;
      });
    }
    const result = tf.tidy(() => model.activationsAt(config.hook, tf.tensor1d(text, 'int32'), batch, positions));
    const vectors = (await result.data()) as Float32Array;
    d = result.shape[1];
    result.dispose();
    values ??= new Float32Array(rows * d);
    for (let row = 0; row < batch * kept; row++) values.set(vectors.subarray(row * d, (row + 1) * d), place[start * kept + row]! * d);
    context.report({ done: start + batch, total: prompts, unit: 'prompts', metrics: { vectors: (start + batch) * kept } });
    await breathe();
    if (context.shouldStop()) throw new StoppedError();
  }
  tf.dispose(model.parameters);
  const metadata = { hook: config.hook, key: id.key, shard: String(shard) };
  const bad = firstBeyond(values!, activations.dtype === 'float16' ? maxFloat16 : maxFloat32);
  if (bad >= 0) {
    const row = Math.floor(bad / d);
    throw new UserError(
      `${config.hook}: component ${bad % d} is ${values![bad]} at token ${position[row]} of ${nameOf(documents[document[row]!]!)}, which activations.dtype ${activations.dtype} does not hold (shard ${shard})`,
      Number.isFinite(values![bad]) ? 'Set activations.dtype to float32.' : 'The model is at fault: train it anew at a lower transformer.training.learningRate.',
    );
  }
  const { bytes, overflows } = encodeActivationShard({ activations: values!, document, position, token, d, dtype: activations.dtype, metadata });
  const path = `shards/${String(shard).padStart(5, '0')}.parquet`;
  const stored = await store.put(artifactPath(id, path), bytes);
  return { shard, files: [{ path, ...stored, rows }], metrics: { vectors: rows, overflows, d }, seconds: (performance.now() - started) / 1000, device: context.device };
}

/** Index of the first number that is NaN or larger than `largest`, -1 for none. */
function firstBeyond(values: Float32Array, largest: number): number {
  for (let index = 0; index < values.length; index++) if (!(Math.abs(values[index]!) <= largest)) return index;
  return -1;
}
