// One full training step of the SAE (gradients, decoder projection, Adam, unit rows) at several L0, against the same step
// in PyTorch and against two libraries' own trainers. All start from the same weights; their losses must agree.
import { chosen, failureNotes, withFolder, writeTensors, type Bench, type BenchOutcome, type BenchSettings } from './bench.ts';
import { processorFlags } from './machine.ts';
import { peersPython } from './peers/setup.ts';
import { compare, megabytes } from './result.ts';
import { alternate, requireSame, type Measured } from './rounds.ts';
import { saeInputs } from './saeInputs.ts';
import { oursCommand, peerCommand } from './side.ts';

const d = 512;
const features = 4_096;
const batch = 8_192;
const batches = 2;

const cases = [
  { name: 'L0 20', l0: 20, goal: 5 },
  { name: 'L0 50', l0: 50, goal: 5 },
  { name: 'L0 200', l0: 200, goal: 3 },
  { name: 'L0 500', l0: 500, goal: undefined },
  { name: 'dense, L0 2,048', l0: features / 2, goal: 1.3 },
];

interface Peer {
  name: string;
  script: string;
  options: object;
  /** Float32 sums in another order, or bfloat16's eight bits. */
  tolerance: number;
}
const plain: Peer = { name: 'PyTorch f32', script: 'sae_step', options: { autocast: false }, tolerance: 1e-4 };
const bf16: Peer = { name: 'PyTorch bf16', script: 'sae_step', options: { autocast: true }, tolerance: 1e-2 };
const dictionaryLearning: Peer = { name: 'dictionary_learning', script: 'sae_step_dictionary_learning', options: {}, tolerance: 1e-4 };
const saeLens: Peer = { name: 'SAELens', script: 'sae_step_saelens', options: {}, tolerance: 1e-4 };
const bf16Goal = 2.5;

/** So small a rate holds the L0; Adam's arithmetic does not depend on it. λ is in the sum convention, as all peers have it. */
const settings = { learningRate: 1e-6, l1Coefficient: 2, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };

export const saeStep: Bench = {
  summary: 'training step of the SAE at L0 20 to 500 and dense against PyTorch, dictionary_learning and SAELens: time, peak memory',
  run: (benchSettings) => withFolder((folder) => run(folder, benchSettings)),
};

async function run(folder: string, { threads, rounds, only, log }: BenchSettings): Promise<BenchOutcome> {
  const python = await peersPython(log);
  const outcome: BenchOutcome = { cases: [], notes: [], backend: '' };
  const hasBf16 = processorFlags().has('avx512_bf16');
  if (!hasBf16) outcome.notes.push('PyTorch in bf16 autocast is left out: this processor has no avx512_bf16, and emulates it slowly');
  const peers = [plain, ...(hasBf16 ? [bf16] : []), dictionaryLearning, saeLens];
  for (const { name, l0, goal } of chosen(cases, only)) {
    log(name);
    const file = await writeTensors(folder, 'sae', saeInputs(d, features, batch, batches, l0));
    const options = { file, ...settings };
    const commands = [oursCommand('saeStep', { ...options, threads }, threads), ...peers.map((peer) => peerCommand(peer.name, python, peer.script, { ...options, ...peer.options }, threads))];
    const { measured, failures } = await alternate(commands, { rounds, warmups: 2, steps: 1 }, log);
    const [ours, ...others] = measured as [Measured, ...Measured[]];
    outcome.backend = ours.version;
    const about = `${ours.note}, measured L0 ${ours.values.at(-1)!['l0']!.toFixed(1)}`;
    log(`${name}: ${about}, loss ${ours.values.at(-1)!['loss']}`);
    for (const other of others) {
      const peer = peers.find((one) => one.name === other.name)!;
      requireSame(ours, other, 'loss', peer.tolerance);
      const more = peer === plain ? { note: about, ...(goal === undefined ? {} : { goal }) } : peer === bf16 && l0 <= 50 ? { goal: bf16Goal } : {};
      outcome.cases.push(compare(`${name}: time`, 'ms', ours.ms, other.ms, other.version, more));
      if (peer === plain) outcome.cases.push(compare(`${name}: peak memory`, 'MB', megabytes(ours.peakRssBytes), megabytes(other.peakRssBytes), other.version));
    }
    outcome.notes.push(...failureNotes(name, failures));
  }
  return outcome;
}
