// Our side of shuffled reading: `batches` reads them as fast as it can, `train` takes an SAE's step on each, and `memory`
// the same steps on one batch that is there already. Argument: {mode, store, artifact, entries, d, batchSize, mixShards,
// sae, threads}; the file `sae` has the weights.
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { ActivationFile } from '../../data/activationFile.ts';
import { rowsPerGroup } from '../../data/activationFormat.ts';
import { openStore } from '../../data/artifactStore.ts';
import { decodeSafetensors } from '../../data/safetensors.ts';
import { ShuffledReader } from '../../data/shuffledReader.ts';
import { saeParameterNames, type SaeArrays } from '../../model/sae.ts';
import { openSaeTrainer, zeroSaeArrays } from '../../model/saeTrainer.ts';
import { fileEntry } from '../../schemas/artifact.ts';
import { artifactId } from '../../schemas/stages.ts';
import { breathe } from '../../stages/context.ts';
import { registerNativeSaeKernel } from '../../workers/saeKernel.ts';
import { loadBackend } from '../../workers/tensorflow.ts';
import { serveSide } from './serve.ts';

const { mode, store: uri, artifact, entries, d, batchSize, mixShards, sae, threads } = z
  .object({ mode: z.enum(['batches', 'train', 'memory']), store: z.string(), artifact: artifactId, entries: z.array(fileEntry), d: z.int(), batchSize: z.int(), mixShards: z.int(), sae: z.string(), threads: z.int() })
  .parse(JSON.parse(process.argv[2]!));
const store = openStore(uri);
if (mode === 'batches') registerNativeSaeKernel(threads);
const backend = mode === 'batches' ? { name: 'Node', tensorflowVersion: process.versions.node, threads } : await loadBackend({ threads });
const shards = entries.map((entry) => new ActivationFile(store, artifact, entry, d));
const reader = new ShuffledReader({ shards, blockRows: rowsPerGroup, d, batchSize, mixShards, seed: 1, epochs: 1_000 });
const trainer = mode === 'batches' ? undefined : openTrainer();
/** The vectors are of twice the size that the SAE is for: as in training, they are scaled on their way. */
const scale = 0.5;
const target = new Float32Array(batchSize * d);
const kept = mode === 'memory' ? await reader.read(0, scale) : undefined;

let waitedMs = 0;
let ranMs = 0;
/** Of the first batch, before which nothing is read ahead. */
let firstBlocksMs = 0;
let lastL0: number | undefined;
await serveSide(backend, async (index) => {
  const started = performance.now();
  const x = kept ?? (await reader.read(index, scale, target));
  if (index === 0) firstBlocksMs = reader.blocksWaitedMs;
  else waitedMs += performance.now() - started;
  let l0 = 0;
  if (trainer !== undefined) {
    ({ l0 } = trainer.step(x, index + 1, { learningRate: 1e-12, l1Coefficient: 1 }, lastL0));
    lastL0 = l0;
    await breathe();
  }
  if (index > 0) ranMs += performance.now() - started;
  return { values: { rows: x.length / d, l0, waitingFraction: ranMs === 0 ? 0 : waitedMs / ranMs, blocksFraction: ranMs === 0 ? 0 : (reader.blocksWaitedMs - firstBlocksMs) / ranMs } };
});

function openTrainer() {
  const { tensors } = decodeSafetensors(readFileSync(sae));
  const weights = Object.fromEntries(saeParameterNames.map((name) => [name, tensors[name]!.data])) as unknown as SaeArrays;
  const features = weights.b_enc.length;
  const zeros = () => zeroSaeArrays(d, features);
  return openSaeTrainer({ weights, m: zeros(), v: zeros() }, { features, batchSize, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, lossConvention: 'mean' });
}
