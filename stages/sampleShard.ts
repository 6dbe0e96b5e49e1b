// One shard of activations: its prompts through the model up to the hook, kept positions only, rows in a seeded order,
// as float16 Parquet. A pure function of (model, tokens, plan, seed, shard): made again anywhere, it has the same bytes.
// Memory holds the shard once, as it will rest, and a batch of prompts.
import * as tf from '@tensorflow/tfjs-core';
import { bytesPerNumber, type RowGroup } from '../data/activationFormat.ts';
import { shardPath } from '../data/activationSource.ts';
import { activationShardPieces, cutIntoGroups } from '../data/activationWriter.ts';
import { artifactPath } from '../data/artifact.ts';
import { specOf } from '../data/inputs.ts';
import { PromptPlan } from '../data/promptPlan.ts';
import type { DocumentRow } from '../data/tokenShard.ts';
import { documentIndexAt } from '../data/tokenStream.ts';
import { forwardFlopsPerToken, samplingFlopsPerPrompt } from '../model/flops.ts';
import type { Receipt } from '../schemas/artifact.ts';
import { UserError } from '../schemas/errors.ts';
import type { ArtifactId } from '../schemas/stages.ts';
import { openModel, openTokens } from './artifacts.ts';
import { breathe, StoppedError, type JobContext } from './context.ts';
import { RestingNumbers } from './restingNumbers.ts';
import { nameOf } from './transformerBatches.ts';

/** Samples prompts [shard · promptsPerShard, …) of the plan. */
export async function sampleShard(id: ArtifactId, shard: number, context: JobContext): Promise<Receipt> {
  const started = performance.now();
  const { store } = context;
  const { config, inputs } = await specOf(store, id, 'sampleActivations');
  const { activations, hook } = config;
  const { tokens, vocabSize } = await openTokens(store, inputs.tokenize, 'train');
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

  const numbers = new RestingNumbers(activations);
  const group: RowGroup = { activation: new Uint8Array(0), document: new Int32Array(rows), position: new Int32Array(rows), token: new Int32Array(rows) };
  let d = 0;
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
        group.document[target] = documentIndexAt(documents, offset + at);
        group.position[target] = offset + at - documents[group.document[target]!]!.start;
        group.token[target] = text[row * contextLength + at]!;
      });
    }
    const result = tf.tidy(() => model.activationsAt(hook, tf.tensor1d(text, 'int32'), batch, positions));
    const vectors = (await result.data()) as Float32Array;
    d = result.shape[1];
    result.dispose();
    if (group.activation.length === 0) group.activation = new Uint8Array(rows * d * bytesPerNumber[activations.dtype]);
    const places = place.subarray(start * kept, (start + batch) * kept);
    numbers.rest(vectors, d, places, group.activation, (index, why) => refusal(config, shard, index % d, vectors[index]!, why, group, places[Math.floor(index / d)]!, documents));
    context.report({ done: start + batch, total: prompts, unit: 'prompts', metrics: { vectors: (start + batch) * kept } });
    await breathe();
    if (context.shouldStop()) throw new StoppedError();
  }
  tf.dispose(model.parameters);
  const metadata = { hook, key: id.key, shard: String(shard) };
  const path = shardPath(shard);
  const stored = await store.putPieces(artifactPath(id, path), activationShardPieces({ d, dtype: activations.dtype, metadata }, cutIntoGroups(group)));
  const work = {
    // read; of these `vectors` were computed at the hook
    positions: prompts * contextLength,
    flops: prompts * samplingFlopsPerPrompt(architecture, hook, kept),
    // what a forward pass of the whole model over the same prompts takes
    fullFlops: prompts * contextLength * forwardFlopsPerToken(architecture, vocabSize),
  };
  const { overflows, largest } = numbers;
  return { shard, files: [{ path, ...stored, rows }], metrics: { vectors: rows, d, ...work, overflows, largest }, seconds: (performance.now() - started) / 1000, device: context.device };
}

function refusal({ hook, activations }: { hook: string; activations: { dtype: string } }, shard: number, component: number, value: number, overflows: number, { document, position }: RowGroup, row: number, documents: DocumentRow[]): UserError {
  const more = overflows > 1 ? `, and ${overflows - 1} more in the batch` : '';
  return new UserError(
    `${hook}: component ${component} is ${value} at token ${position[row]} of ${nameOf(documents[document[row]!]!)}, which activations.dtype ${activations.dtype} does not hold (shard ${shard}${more})`,
    Number.isFinite(value) ? 'Set activations.dtype to float32, or activations.onOverflow to saturate.' : 'The model is at fault: train it anew at a lower transformer.training.learningRate.',
  );
}
