// The same curve: the reference's recipe in PyTorch and ours on the same real activations, from the same initial weights
// and in the same order, for three seeds; only what a resampling draws differs. A further run of the first seed shows what
// the reference's rarer normalisation of the decoder does, which the project does not copy.
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { rowsPerGroup } from '../data/activationFormat.ts';
import { decodeActivationShard } from '../data/activationShard.ts';
import { artifactPath, readManifest, readVerified } from '../data/artifact.ts';
import { startsOf } from '../data/readingOrder.ts';
import { ShuffledReader } from '../data/shuffledReader.ts';
import { initialSae } from '../model/sae.ts';
import type { ArtifactRef } from '../schemas/artifact.ts';
import { saeConfig } from '../schemas/config.ts';
import { UserError } from '../schemas/errors.ts';
import { runCommand } from '../setup/command.ts';
import { loadBackend } from '../workers/tensorflow.ts';
import { withFolder, writeTensors, type Bench, type BenchOutcome, type BenchSettings } from './bench.ts';
import { curveMetrics, curveTable, finalMean, largestDifference, outsideSpread, type CurveMetric, type CurvePoint, type Curves } from './parityCurves.ts';
import { peersPython } from './peers/setup.ts';
import { compare, type BenchCase } from './result.ts';
import { threadEnv } from './side.ts';
import { hook, smallRun, type SmallRun } from './smallRun.ts';

const seeds = [1, 2, 3];
/** 359 steps an epoch. The reference's rates and shapes, scaled to minutes: a higher learning rate, and a λ and a window with which neurons die. */
const recipe = { features: 512, batchSize: 1_024, epochs: 4, learningRate: 1e-3, l1Coefficient: 4e-3, logEvery: 50, resampling: { steps: [200, 500, 800], deadWindowSteps: 100, candidates: 32_768 } };
/** Steps between two normalisations of the decoder: the paper's, and the reference code's. */
const normaliseEvery = { paper: 1, code: 1_000 };
/** Share of a curve's points at which means of three may differ by more than the spread of three: chance alone makes it 5 %. */
const chanceShare = 0.1;
const units: Record<CurveMetric, BenchCase['unit']> = { mse: 'MSE per component', l0: 'features', alive: 'features' };

const point = z.strictObject({ step: z.int(), mse: z.number(), l0: z.number(), alive: z.int() });
const answer = z.strictObject({ version: z.string(), curve: z.array(point).min(1), resampled: z.array(z.int()) });

export const parity: Bench = {
  summary: "the reference's SAE training in PyTorch and ours on the same activations: curves of MSE, L0 and alive features",
  rounds: 1,
  run: (settings) => withFolder((folder) => run(folder, settings)),
};

async function run(folder: string, { threads, log }: BenchSettings): Promise<BenchOutcome> {
  const python = await peersPython(log);
  const { name, tensorflowVersion, sae: trainer } = await loadBackend({ threads });
  const small = await smallRun(folder, log);
  const activations = await small.sample('float32');
  const rows = await rowsOf(small, activations);
  const d = activations.metrics['d']!;
  const data = await writeTensors(folder, 'activations', { x: { shape: [rows.length / d, d], data: rows } });
  const steps = Math.floor((rows.length / d) * recipe.epochs / recipe.batchSize);
  log(`${rows.length / d} vectors of ${d} components, ${steps} steps`);

  const ours: Curves = [];
  const peers: Curves = [];
  const resampled: string[] = [];
  const trainPeer = async (seed: number, start: string, renormaliseEvery: number) => {
    const options = { ...recipe, data, start, steps, renormaliseEvery, seed, threads };
    const { stdout } = await runCommand(python, [peerScript, JSON.stringify(options)], { env: threadEnv(threads, process.env), log, progress: 'PyTorch' });
    return answer.parse(JSON.parse(stdout.trim().split('\n').at(-1)!));
  };
  let version = '';
  let asCoded: Curves = [];
  for (const seed of seeds) {
    const mine = await trainOurs(small, activations, seed);
    const start = await writeStart(folder, small, activations, seed, steps);
    const theirs = await trainPeer(seed, start, normaliseEvery.paper);
    if (seed === seeds[0]) asCoded = [(await trainPeer(seed, start, normaliseEvery.code)).curve];
    ours.push(mine.curve);
    peers.push(theirs.curve);
    resampled.push(`seed ${seed}: ${mine.resampled.join(', ')} and ${theirs.resampled.join(', ')}`);
    version = theirs.version;
    log(`seed ${seed}: MSE ${mine.curve.at(-1)!.mse.toExponential(3)} and ${theirs.curve.at(-1)!.mse.toExponential(3)}`);
  }
  for (const line of curveTable(ours, peers)) log(line);

  const points = ours[0]!.length;
  const outside = curveMetrics.map((metric) => ({ metric, steps: outsideSpread(ours, peers, metric) }));
  const failed = outside.filter(({ steps }) => steps.length > chanceShare * points || steps.includes(ours[0]!.at(-1)!.step));
  if (failed.length > 0) {
    throw new UserError(`the curves differ by more than three seeds do: ${failed.map(({ metric, steps }) => `${metric} at steps ${steps.join(', ')}`).join('; ')}`, 'See the table above. docs/numerics.md says what may differ.');
  }
  const firstResampling = recipe.resampling.steps[0]!;
  const notes = [
    `the means of three seeds agree within their spread at the end, and at ${outside.map(({ metric, steps }) => `${points - steps.length} of ${points} points of the curve of ${metric}`).join(', ')}`,
    `until the first resampling one seed's MSE differs by at most ${(100 * largestDifference(ours, peers, 'mse', firstResampling)).toPrecision(2)} %, its L0 by ${(100 * largestDifference(ours, peers, 'l0', firstResampling)).toPrecision(2)} %`,
    `resampled at steps ${recipe.resampling.steps.join(', ')}, ours and the reference's: ${resampled.join('; ')}`,
    `with the decoder normalised every ${normaliseEvery.code} steps, as the reference's code has it, seed ${seeds[0]} ends at MSE ${finalMean(asCoded, 'mse').toExponential(3)} and L0 ${finalMean(asCoded, 'l0').toFixed(2)}; every step, as the paper has it, at ${finalMean([peers[0]!], 'mse').toExponential(3)} and ${finalMean([peers[0]!], 'l0').toFixed(2)}`,
  ];
  const cases = curveMetrics.map((metric) => compare(`${metric} at step ${ours[0]!.at(-1)!.step}, mean of three seeds`, units[metric], finalMean(ours, metric), finalMean(peers, metric), version));
  return { cases, notes, backend: `${name} ${tensorflowVersion}, SAE on ${trainer}` };
}

const peerScript = fileURLToPath(new URL('./peers/parity.py', import.meta.url));

/** Ours as a run trains it: the stage itself, its log its curve. */
async function trainOurs({ make, store }: SmallRun, activations: ArtifactRef, seed: number): Promise<{ curve: CurvePoint[]; resampled: number[] }> {
  const { logEvery, resampling, ...rest } = recipe;
  const sae = saeConfig.parse({ ...rest, hook, decoderBiasInit: 'linear', resampling: { ...resampling, direction: 'raw' }, segmentSteps: 20 * logEvery });
  const made = await make({ stage: 'trainSae', config: { seed, sae }, inputs: { sampleActivations: activations.key } });
  const rowsIn = async (path: string) => Buffer.from(await store.get(artifactPath(made, path))).toString().split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as Record<string, number>);
  const curve = (await rowsIn('metrics.jsonl')).filter((row) => row['step']! % logEvery === 0).map(({ step, mse, l0, dead }) => ({ step: step!, mse: mse!, l0: l0!, alive: sae.features - dead! }));
  return { curve, resampled: (await rowsIn('resamplings.jsonl')).map(({ resampled }) => resampled!) };
}

/** What the stage begins with, for the other side: initial weights, and the row of every vector in reading order. */
async function writeStart(folder: string, { store }: SmallRun, activations: ArtifactRef, seed: number, steps: number): Promise<string> {
  const d = activations.metrics['d']!;
  const { features, batchSize, epochs } = recipe;
  const { mixShards } = saeConfig.parse({});
  const sizes = (await readManifest(store, activations))!.files.map(({ rows }) => rows!);
  const firstRows = startsOf(sizes);
  const shards = sizes.map((rows) => ({ rows, read: () => Promise.reject(new Error('only the order is asked for')) }));
  const reader = new ShuffledReader({ shards, blockRows: rowsPerGroup, d, batchSize, mixShards, seed, epochs });
  const order = new Int32Array(steps * batchSize);
  for (let step = 0; step < steps; step++) order.set(reader.sources(step).map(({ shard, row }) => firstRows[shard]! + row), step * batchSize);
  const { W_enc, b_enc, W_dec, b_dec } = initialSae(d, features, seed);
  const arrays = { W_enc: { shape: [d, features], data: W_enc }, b_enc: { shape: [features], data: b_enc }, W_dec: { shape: [features, d], data: W_dec }, b_dec: { shape: [d], data: b_dec } };
  const copies = Object.fromEntries(Object.entries(arrays).map(([name, { shape, data }]) => [name, { shape, data: Float32Array.from(data) }]));
  return writeTensors(folder, `start-${seed}`, { ...copies, order: { shape: [order.length], data: order } });
}

/** All activations, [N · d], in the order of the shards. */
async function rowsOf({ store }: SmallRun, activations: ArtifactRef): Promise<Float32Array<ArrayBuffer>> {
  const { files, metrics: { vectors, d } } = (await readManifest(store, activations))!;
  const all = new Float32Array(vectors! * d!);
  let filled = 0;
  for (const entry of files) {
    const shard = (await decodeActivationShard(await readVerified(store, activations, entry))).activations;
    all.set(shard, filled);
    filled += shard.length;
  }
  return all;
}
