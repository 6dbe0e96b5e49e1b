// One training step of the transformer against nanoGPT's own, in PyTorch eager and compiled. Both sides start from the
// same weights and see the same tokens, and their losses must agree in every round.
import { initialParameters } from '../model/transformer.ts';
import { resolveInput } from '../presets/resolve.ts';
import { paddedVocabSize, transformerTrainingConfig, type ArchitectureConfig } from '../schemas/config.ts';
import { RandomStream } from '../schemas/random.ts';
import { chosen, withFolder, writeTensors, type Bench, type BenchOutcome, type BenchSettings } from './bench.ts';
import { peersPython } from './peers/setup.ts';
import { compare, megabytes } from './result.ts';
import { alternate, requireSame } from './rounds.ts';
import { oursCommand, peerCommand } from './side.ts';

interface Shape {
  name: string;
  architecture: ArchitectureConfig;
  vocabSize: number;
  batch: number;
}

const real = resolveInput('monosemantic');
const demo = resolveInput('demo');
const shapes: Shape[] = [
  { name: 'vocabulary 50,304, 8 × 1,024 tokens', architecture: real.transformer.architecture, vocabSize: real.tokenize.vocabSize, batch: 8 },
  { name: 'the demo: vocabulary 8,192, 32 × 256 tokens', architecture: demo.transformer.architecture, vocabSize: demo.tokenize.vocabSize, batch: demo.transformer.training.batchSize },
];

/** The rate neither warms up nor decays, so that both sides take the same steps. */
const training = transformerTrainingConfig.parse({ gradientAccumulation: 1, minLearningRate: 6e-4, warmupSteps: 0 });
const batches = 2;
/** Float32 sums in another order, and a few AdamW steps on them. */
const lossTolerance = 1e-3;

export const transformerStep: Bench = {
  summary: 'training step of the transformer against nanoGPT in PyTorch, eager and torch.compile: time and peak memory',
  run: (settings) => withFolder((folder) => run(folder, settings)),
};

async function run(folder: string, { threads, rounds, only, log }: BenchSettings): Promise<BenchOutcome> {
  const python = await peersPython(log);
  const outcome: BenchOutcome = { cases: [], notes: [], backend: '' };
  for (const { name, architecture, vocabSize, batch } of chosen(shapes, only)) {
    log(name);
    const vocabRows = paddedVocabSize(vocabSize);
    const file = await writeTensors(folder, 'step', { ...weights(architecture, vocabRows), ...text(batch, architecture.contextLength, vocabSize) });
    const options = { file, architecture, vocabRows, training };
    const peer = (label: string, compile: boolean) => peerCommand(label, python, 'transformer_step', { ...options, compile }, threads);
    const commands = [oursCommand('transformerStep', { ...options, threads }, threads), peer('PyTorch eager', false), peer('torch.compile', true)];
    const { measured, failures } = await alternate(commands, { rounds, warmups: 2, steps: 1 }, log);
    const [ours, ...peers] = measured;
    outcome.backend = ours!.version;
    const tokens = batch * architecture.contextLength;
    for (const one of measured) log(`${one.name}: ${((tokens / one.ms) * 1000).toFixed(0)} tokens/s, loss ${one.values.at(-1)!['loss']!.toFixed(4)}`);
    for (const one of peers) {
      requireSame(ours!, one, 'loss', lossTolerance);
      const eager = one.name === 'PyTorch eager';
      outcome.cases.push(compare(`${name}: time`, 'ms', ours!.ms, one.ms, one.version, { goal: eager ? 2 : 1 }));
      outcome.cases.push(compare(`${name}: peak memory`, 'MB', megabytes(ours!.peakRssBytes), megabytes(one.peakRssBytes), one.version, eager ? { goal: 2 } : {}));
    }
    outcome.notes.push(...failures.map((failure) => `${name}: ${failure.name} does not run here (${failure.reason.split('\n')[0]})`));
  }
  return outcome;
}

function weights(architecture: ArchitectureConfig, vocabRows: number) {
  return Object.fromEntries(Object.entries(initialParameters(architecture, vocabRows, 1)).map(([name, tensor]) => [`param.${name}`, tensor]));
}

/** Tokens with frequencies as of words (Zipf's law) and the ones that follow them, int32 [batches, batch, length]. */
function text(batch: number, length: number, vocabSize: number) {
  const stream = new RandomStream(1, 'bench', 'tokens');
  const random = Int32Array.from({ length: batches * batch * (length + 1) }, () => Math.floor(vocabSize ** stream.uniform()) - 1);
  const shape = [batches, batch, length];
  const rows = (offset: number) => Int32Array.from({ length: batches * batch * length }, (_, index) => random[Math.floor(index / length) * (length + 1) + (index % length) + offset]!);
  return { tokens: { shape, data: rows(0) }, targets: { shape, data: rows(1) } };
}
