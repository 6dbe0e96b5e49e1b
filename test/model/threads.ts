// How far the number of threads changes trained weights: `npx tsx test/model/threads.ts 1 2 3 4` trains 50 steps in a
// process for each and prints how each differs from the first. The figures of docs/numerics.md come from here.
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { decodeSafetensors, encodeSafetensors, type TensorInput } from '../../data/safetensors.ts';
import { zeroMoments } from '../../model/adam.ts';
import { initialSae } from '../../model/sae.ts';
import { openSaeTrainer, TensorSaeTrainer, zeroSaeArrays, type SaeTrainer, type SaeTrainerConfig, type SaeTrainingArrays } from '../../model/saeTrainer.ts';
import { initialParameters, Transformer } from '../../model/transformer.ts';
import { trainStep } from '../../model/transformerTraining.ts';
import { architectureConfig, saeConfig, transformerTrainingConfig } from '../../schemas/config.ts';
import { RandomStream } from '../../schemas/random.ts';
import { fromTensors, toTensors } from '../../stages/tensorFiles.ts';
import { loadBackend } from '../../workers/tensorflow.ts';

const steps = 50;

/** GPT-2's vocabulary, 512 tokens a step, clipped at every step: the clip's norm is a sum over 6.4 million numbers. */
function trainTransformer(): Record<string, TensorInput> {
  const [vocabRows, batch, contextLength] = [50_304, 8, 64];
  const architecture = architectureConfig.parse({ contextLength });
  const config = transformerTrainingConfig.parse({ learningRate: 3e-3, warmupSteps: 5, steps: 5_000, gradientClip: 0.2 });
  const parameters = toTensors(initialParameters(architecture, vocabRows, 1));
  const model = new Transformer(architecture, parameters);
  const moments = zeroMoments(parameters);
  for (let step = 0; step < steps; step++) {
    const stream = new RandomStream(1, 'threads', 'tokens', step);
    const text = Int32Array.from({ length: batch * contextLength + 1 }, () => stream.integer(vocabRows));
    trainStep(model, moments, [{ tokens: text.subarray(0, -1), targets: text.subarray(1), batch }], step, config);
  }
  return fromTensors(model.parameters);
}

/** 512 → 4,096. */
function trainSae(open: (state: SaeTrainingArrays, config: SaeTrainerConfig) => SaeTrainer): Record<string, TensorInput> {
  const [d, batchSize] = [512, 1_024];
  const config = saeConfig.parse({ batchSize });
  const { features } = config;
  const trainer = open({ weights: initialSae(d, features, 1), m: zeroSaeArrays(d, features), v: zeroSaeArrays(d, features) }, config);
  let lastL0: number | undefined;
  for (let step = 1; step <= steps; step++) {
    const stream = new RandomStream(1, 'threads', 'vectors', step);
    const x = Float32Array.from({ length: batchSize * d }, () => 2 * stream.uniform() - 1);
    lastL0 = trainer.step(x, step, { learningRate: 1e-3, l1Coefficient: 4e-3 }, lastL0).l0;
  }
  return Object.fromEntries(Object.entries(trainer.arrays().weights).map(([name, data]: [string, Float32Array]) => [name, { shape: [data.length], data: Float32Array.from(data) }]));
}

const trainings = {
  transformer: trainTransformer,
  'SAE on tensors': () => trainSae((state, config) => new TensorSaeTrainer(state, config)),
  'SAE on the kernel, where set-up built it': () => trainSae(openSaeTrainer),
};

async function train(training: string, threads: number, path: string): Promise<void> {
  await loadBackend({ threads });
  await writeFile(path, encodeSafetensors(trainings[training as keyof typeof trainings]()));
}

async function compare(counts: string[]): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'saeflow-threads-'));
  for (const training of Object.keys(trainings)) {
    const trained = [];
    for (const threads of counts) {
      const path = join(folder, `${threads}.safetensors`);
      await promisify(execFile)(process.execPath, ['--import', 'tsx', fileURLToPath(import.meta.url), 'train', training, threads, path]);
      const { tensors } = decodeSafetensors(await readFile(path));
      trained.push(Object.values(tensors).map(({ data }) => data as Float32Array));
    }
    for (const [index, threads] of counts.entries()) console.log(`${training}, ${threads} threads against ${counts[0]!}:`, difference(trained[0]!, trained[index]!));
  }
  await rm(folder, { recursive: true });
}

/** Largest difference of any weight, and the largest ‖difference‖ / ‖weights‖ of any tensor. */
function difference(tensors: Float32Array[], others: Float32Array[]): { largest: number; relative: number } {
  const each = tensors.map((values, index) => {
    const delta = values.map((value, at) => value - others[index]![at]!);
    return { largest: delta.reduce((most, value) => Math.max(most, Math.abs(value)), 0), relative: norm(delta) / norm(values) };
  });
  return { largest: Math.max(...each.map(({ largest }) => largest)), relative: Math.max(...each.map(({ relative }) => relative)) };
}

function norm(values: Float32Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
}

const [command, ...rest] = process.argv.slice(2);
if (command === 'train') await train(rest[0]!, Number(rest[1]), rest[2]!);
else await compare([command!, ...rest]);
