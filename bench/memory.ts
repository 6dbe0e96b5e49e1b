// Peak memory of what a compute process does, at the demo's and the reference's shapes, against budgets; and that nothing
// is left behind by a step. Each case runs in a process of its own.
import { denseFraction } from '../model/nativeSaeTrainer.ts';
import { resolveInput } from '../presets/resolve.ts';
import type { PipelineConfig } from '../schemas/config.ts';
import { ComputeProcess } from '../workers/computeProcess.ts';
import { chosen, withFolder, writeTensors, type Bench, type BenchOutcome, type BenchSettings } from './bench.ts';
import { residentBytes } from './machine.ts';
import { compare, megabytes, type BenchCase } from './result.ts';
import { oursCommand, Side } from './side.ts';
import { saeInputs } from './saeInputs.ts';
import { storeForSampling } from './store.ts';
import { tokenBatches, transformerWeights } from './transformerInputs.ts';

const demo = resolveInput('demo');
const real = resolveInput('monosemantic');
const tiny = resolveInput('tiny');

/**
 * MB a compute process may take.
 * The demo's: a machine of 4 GB runs it, beside 0.3 GB for Temporal's server and 0.6 GB for the worker and the CLI.
 * The reference's: four processes, one a GPU, leave half of a machine of 24 GB to the disk cache that shards come from.
 */
const budgetMegabytes = { demo: 1_500, monosemantic: 3_000 };
/** What V8's heap may grow and shrink by in a long run: no step of ours allocates more than a few MB in it. */
const heapPlayMegabytes = 64;
const longRunSteps = 1_000;
/** Share of active features just below the one from which steps are dense: measured L0 strays a little. */
const mostSparseFraction = 0.98 * denseFraction;

interface Case {
  name: string;
  run(folder: string, threads: number): Promise<{ measured: BenchCase; backend: string }>;
}

const cases: Case[] = [
  { name: "transformer step, the demo's", run: (folder, threads) => transformerPeak(folder, threads, demo, 'demo') },
  { name: 'transformer step, monosemantic', run: (folder, threads) => transformerPeak(folder, threads, real, 'monosemantic') },
  { name: "sampling a shard, the demo's", run: (folder, threads) => samplingPeak(folder, threads, demo, 'demo') },
  { name: 'sampling a shard, monosemantic', run: (folder, threads) => samplingPeak(folder, threads, real, 'monosemantic') },
  { name: "SAE step, the demo's", run: (folder, threads) => saePeak(folder, threads, demo, 'demo') },
  { name: 'SAE step, monosemantic', run: (folder, threads) => saePeak(folder, threads, real, 'monosemantic') },
  { name: `${longRunSteps} small transformer steps`, run: (folder, threads) => longRun(folder, threads, 'transformerStep') },
  { name: `${longRunSteps} small SAE steps`, run: (folder, threads) => longRun(folder, threads, 'saeStep') },
];

export const memory: Bench = {
  summary: 'peak memory of training steps and sampling against budgets; nothing left behind over 1,000 steps',
  rounds: 1,
  run: (settings) => withFolder((folder) => run(folder, settings)),
};

async function run(folder: string, { threads, only, log }: BenchSettings): Promise<BenchOutcome> {
  const outcome: BenchOutcome = { cases: [], notes: [], backend: '' };
  for (const { name, run } of chosen(cases, only)) {
    const { measured, backend } = await run(folder, threads);
    log(`${name}: ${measured.ours} MB`);
    outcome.cases.push({ ...measured, name });
    outcome.backend = backend;
  }
  return outcome;
}

type Budget = keyof typeof budgetMegabytes;
const againstBudget = (peakRssBytes: number, budget: Budget, note: string) => compare('peak', 'MB', megabytes(peakRssBytes), budgetMegabytes[budget], 'the budget (bench/memory.ts)', { goal: 1, note });

/** Accumulates over two micro-batches at most: further ones need no more. */
async function transformerPeak(folder: string, threads: number, config: PipelineConfig, budget: Budget) {
  const { architecture, training } = config.transformer;
  const gradientAccumulation = Math.min(2, training.gradientAccumulation);
  const options = { file: await transformerFile(folder, config), architecture, training: { ...training, gradientAccumulation } };
  const { last, backend } = await steps('transformerStep', options, threads, [1, 2]);
  const note = `${training.batchSize} × ${architecture.contextLength.toLocaleString('en')} tokens, vocabulary ${config.tokenize.vocabSize.toLocaleString('en')}`;
  return { measured: againstBudget(last.peakRssBytes, budget, note), backend };
}

/** The larger of a training's first step, dense, and one so early that the sparse path has the most to hold. */
async function saePeak(folder: string, threads: number, config: PipelineConfig, budget: Budget) {
  const { features, batchSize } = config.saes[0]!;
  const d = config.transformer.architecture.dMlp;
  const peaks: number[] = [];
  let version = '';
  for (const l0 of [features / 2, Math.round(features * mostSparseFraction)]) {
    const { last, backend } = await steps('saeStep', await saeOptions(folder, d, features, batchSize, l0), threads, [1, 2]);
    peaks.push(last.peakRssBytes);
    version = backend;
  }
  const note = `${d} → ${features.toLocaleString('en')}, ${batchSize.toLocaleString('en')} vectors`;
  return { measured: againstBudget(Math.max(...peaks), budget, note), backend: version };
}

/** The whole job, as a worker gives it to its compute process. */
async function samplingPeak(folder: string, threads: number, config: PipelineConfig, budget: Budget) {
  const { artifact, storeUri } = await storeForSampling(`${folder}/${budget}`, config);
  const compute = new ComputeProcess({ threads });
  try {
    const { metrics } = await compute.run({ kind: 'sampleShard', artifact, storeUri, shard: 0 });
    const { peakRssBytes } = residentBytes(compute.pid);
    return { measured: againstBudget(peakRssBytes, budget, `${metrics['vectors']!.toLocaleString('en')} vectors of ${metrics['d']}`), backend: compute.backend().backend };
  } finally {
    await compute.close();
  }
}

/** Resident memory after many steps against that after a tenth of them. Throws Error when tensors are left behind. */
async function longRun(folder: string, threads: number, script: 'transformerStep' | 'saeStep') {
  const { architecture, training } = tiny.transformer;
  const options = script === 'saeStep' ? await saeOptions(folder, 64, 256, 512, 16) : { file: await transformerFile(folder, tiny), architecture, training: { ...training, steps: longRunSteps } };
  const tenth = longRunSteps / 10;
  const { first, last, backend } = await steps(script, options, threads, [tenth, longRunSteps - tenth]);
  const [before, after] = [first.values['tensors']!, last.values['tensors']!];
  if (before !== after) throw new Error(`${script}: ${before} tensors after ${tenth} steps, ${after} after ${longRunSteps}`);
  const allowed = megabytes(first.rssBytes) + heapPlayMegabytes;
  return { measured: compare('growth', 'MB', megabytes(last.rssBytes), allowed, `after ${tenth} steps, and ${heapPlayMegabytes} MB`, { goal: 1, note: `${after} tensors throughout` }), backend };
}

async function steps(script: string, options: object, threads: number, [few, more]: [number, number]) {
  const { side, about } = await Side.open(oursCommand(script, { ...options, threads }, threads));
  try {
    return { first: await side.run(few), last: await side.run(more), backend: about.version };
  } finally {
    await side.close();
  }
}

async function saeOptions(folder: string, d: number, features: number, batchSize: number, l0: number) {
  const file = await writeTensors(folder, 'sae', saeInputs(d, features, batchSize, 1, l0));
  return { file, learningRate: 1e-4, l1Coefficient: 1, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
}

/** Weights and two batches of tokens. */
function transformerFile(folder: string, config: PipelineConfig): Promise<string> {
  const { batchSize } = config.transformer.training;
  const text = tokenBatches(2, batchSize, config.transformer.architecture.contextLength, config.tokenize.vocabSize);
  return writeTensors(folder, 'transformer', { ...transformerWeights(config), ...text });
}
