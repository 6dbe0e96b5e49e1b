// One training step of the transformer against nanoGPT's own, in PyTorch eager and compiled. Both sides start from the
// same weights and see the same tokens, and their losses must agree in every round.
import { resolveInput } from '../presets/resolve.ts';
import { paddedVocabSize, transformerTrainingConfig } from '../schemas/config.ts';
import { chosen, failureNotes, withFolder, writeTensors, type Bench, type BenchOutcome, type BenchSettings } from './bench.ts';
import { peersPython } from './peers/setup.ts';
import { compare, megabytes } from './result.ts';
import { alternate, requireSame, type Measured } from './rounds.ts';
import { oursCommand, peerCommand } from './side.ts';
import { tokenBatches, transformerWeights } from './transformerInputs.ts';

const shapes = [
  { name: 'vocabulary 50,304, 8 × 1,024 tokens', config: resolveInput('monosemantic'), batch: 8 },
  { name: 'the demo, vocabulary 8,192, 32 × 256 tokens', config: resolveInput('demo'), batch: 32 },
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
  for (const { name, config, batch } of chosen(shapes, only)) {
    log(name);
    const { architecture } = config.transformer;
    const { vocabSize } = config.tokenize;
    const file = await writeTensors(folder, 'step', { ...transformerWeights(config), ...tokenBatches(batches, batch, architecture.contextLength, vocabSize) });
    const options = { file, architecture, vocabRows: paddedVocabSize(vocabSize), training };
    const peer = (label: string, compile: boolean) => peerCommand(label, python, 'transformer_step', { ...options, compile }, threads);
    const commands = [oursCommand('transformerStep', { ...options, threads }, threads), peer('PyTorch eager', false), peer('torch.compile', true)];
    const { measured, failures } = await alternate(commands, { rounds, warmups: 2, steps: 1 }, log);
    const [ours, ...peers] = measured as [Measured, ...Measured[]];
    outcome.backend = ours.version;
    const tokens = batch * architecture.contextLength;
    for (const one of measured) log(`${one.name}: ${((tokens / one.ms) * 1000).toFixed(0)} tokens/s, loss ${one.values.at(-1)!['loss']!.toFixed(4)}`);
    for (const one of peers) {
      requireSame(ours, one, 'loss', lossTolerance);
      const eager = one.name === 'PyTorch eager';
      outcome.cases.push(compare(`${name}: time`, 'ms', ours.ms, one.ms, one.version, { goal: eager ? 2 : 1 }));
      outcome.cases.push(compare(`${name}: peak memory`, 'MB', megabytes(ours.peakRssBytes), megabytes(one.peakRssBytes), one.version, eager ? { goal: 2 } : {}));
    }
    outcome.notes.push(...failureNotes(name, failures));
  }
  return outcome;
}
