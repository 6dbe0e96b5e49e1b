// Activations of mlp.hook_post at a few positions of each prompt, what the sampling stage computes for a batch, against
// the forward pass in PyTorch up to the same hook, at all positions, of which the kept ones are then gathered.
import { resolveInput } from '../presets/resolve.ts';
import { paddedVocabSize } from '../schemas/config.ts';
import { RandomStream } from '../schemas/random.ts';
import { chosen, failureNotes, withFolder, writeTensors, type Bench, type BenchOutcome, type BenchSettings } from './bench.ts';
import { peersPython } from './peers/setup.ts';
import { compare } from './result.ts';
import { alternate, requireSame, type Measured } from './rounds.ts';
import { oursCommand, peerCommand } from './side.ts';
import { randomTokens, transformerWeights } from './transformerInputs.ts';

const shapes = [
  { name: '200 of 1,024 positions, 32 prompts', config: resolveInput('monosemantic'), goal: 3 },
  { name: 'the demo, 192 of 256 positions, 32 prompts', config: resolveInput('demo'), goal: undefined },
];
const hook = 'blocks.0.mlp.hook_post';
/** Float32 sums in another order. */
const meanTolerance = 1e-4;

export const sample: Bench = {
  summary: 'activations at kept positions against a PyTorch forward pass with a hook: time',
  run: (settings) => withFolder((folder) => run(folder, settings)),
};

async function run(folder: string, { threads, rounds, only, log }: BenchSettings): Promise<BenchOutcome> {
  const python = await peersPython(log);
  const outcome: BenchOutcome = { cases: [], notes: [], backend: '' };
  for (const { name, config, goal } of chosen(shapes, only)) {
    log(name);
    const { architecture } = config.transformer;
    const { vocabSize } = config.tokenize;
    const { batchPrompts, positionsPerPrompt } = config.activations;
    const stream = new RandomStream(1, 'bench', 'positions');
    const positions = Int32Array.from(Array.from({ length: batchPrompts }, () => [...stream.sampleWithoutReplacement(architecture.contextLength, positionsPerPrompt)]).flat());
    const file = await writeTensors(folder, 'sample', {
      ...transformerWeights(config),
      tokens: { shape: [batchPrompts, architecture.contextLength], data: randomTokens(batchPrompts * architecture.contextLength, vocabSize) },
      positions: { shape: [batchPrompts, positionsPerPrompt], data: positions },
    });
    const options = { file, architecture, vocabRows: paddedVocabSize(vocabSize), hook };
    const commands = [oursCommand('sample', { ...options, threads }, threads), peerCommand('PyTorch', python, 'sample', options, threads)];
    const { measured, failures } = await alternate(commands, { rounds, warmups: 2, steps: 3 }, log);
    const [ours, peer] = measured as [Measured, Measured?];
    outcome.backend = ours.version;
    outcome.notes.push(...failureNotes(name, failures));
    if (peer === undefined) continue;
    requireSame(ours, peer, 'meanMagnitude', meanTolerance);
    for (const side of [ours, peer]) log(`${side.name}: ${((positions.length / side.ms) * 1000).toFixed(0)} vectors/s, peak ${(side.peakRssBytes / 1e6).toFixed(0)} MB`);
    outcome.cases.push(compare(name, 'ms', ours.ms, peer.ms, peer.version, goal === undefined ? {} : { goal }));
  }
  return outcome;
}
