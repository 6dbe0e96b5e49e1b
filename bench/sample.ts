// Activations of mlp.hook_post at a few positions of each prompt, what the sampling stage computes for a batch, against
// the forward pass in PyTorch up to the same hook, at all positions, of which the kept ones are then gathered.
import { initialParameters } from '../model/transformer.ts';
import { resolveInput } from '../presets/resolve.ts';
import { paddedVocabSize } from '../schemas/config.ts';
import { RandomStream } from '../schemas/random.ts';
import { chosen, withFolder, writeTensors, type Bench, type BenchOutcome, type BenchSettings } from './bench.ts';
import { peersPython } from './peers/setup.ts';
import { compare } from './result.ts';
import { alternate, requireSame } from './rounds.ts';
import { oursCommand, peerCommand } from './side.ts';

const shapes = [
  { name: '200 of 1,024 positions, 32 prompts', config: resolveInput('monosemantic'), goal: 3 },
  { name: 'the demo: 192 of 256 positions, 32 prompts', config: resolveInput('demo'), goal: undefined },
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
    const { batchPrompts, positionsPerPrompt } = config.activations;
    const vocabRows = paddedVocabSize(config.tokenize.vocabSize);
    const stream = new RandomStream(1, 'bench', 'sample');
    const length = architecture.contextLength;
    const tokens = Int32Array.from({ length: batchPrompts * length }, () => Math.floor(config.tokenize.vocabSize ** stream.uniform()) - 1);
    const positions = Int32Array.from(Array.from({ length: batchPrompts }, () => [...stream.sampleWithoutReplacement(length, positionsPerPrompt)]).flat());
    const weights = Object.fromEntries(Object.entries(initialParameters(architecture, vocabRows, 1)).map(([parameter, tensor]) => [`param.${parameter}`, tensor]));
    const file = await writeTensors(folder, 'sample', {
      ...weights,
      tokens: { shape: [batchPrompts, length], data: tokens },
      positions: { shape: [batchPrompts, positionsPerPrompt], data: positions },
    });
    const options = { file, architecture, vocabRows, hook };
    const commands = [oursCommand('sample', { ...options, threads }, threads), peerCommand('PyTorch', python, 'sample', options, threads)];
    const { measured: [ours, peer], failures } = await alternate(commands, { rounds, warmups: 2, steps: 3 }, log);
    outcome.backend = ours!.version;
    outcome.notes.push(...failures.map((failure) => `${name}: ${failure.name} does not run here (${failure.reason.split('\n')[0]})`));
    if (peer === undefined) continue;
    requireSame(ours!, peer, 'meanMagnitude', meanTolerance);
    for (const side of [ours!, peer]) log(`${side.name}: ${((positions.length / side.ms) * 1000).toFixed(0)} vectors/s, peak ${(side.peakRssBytes / 1e6).toFixed(0)} MB`);
    outcome.cases.push(compare(name, 'ms', ours!.ms, peer.ms, peer.version, goal === undefined ? {} : { goal }));
  }
  return outcome;
}
