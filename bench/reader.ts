// Does the shuffled reader keep up with training? An SAE's step at the demo's shapes on batches read from a disk, against
// the same step on a batch in memory; and the reader alone against pyarrow and NumPy doing the same.
import { join } from 'node:path';
import { artifactPath } from '../data/artifact.ts';
import { resolveInput } from '../presets/resolve.ts';
import type { FileEntry } from '../schemas/artifact.ts';
import { chosen, failureNotes, withFolder, writeTensors, type Bench, type BenchOutcome, type BenchSettings } from './bench.ts';
import { peersPython, readerPeers } from './peers/setup.ts';
import { compare } from './result.ts';
import { alternate, requireSame, type Measured } from './rounds.ts';
import { saeInputs } from './saeInputs.ts';
import { artifact, putShard } from './shardReading.ts';
import { oursCommand, peerCommand } from './side.ts';

const demo = resolveInput('demo');
const { features, batchSize, mixShards } = demo.saes[0]!;
const d = demo.transformer.architecture.dMlp;
const rows = demo.activations.promptsPerShard * demo.activations.positionsPerPrompt;
/** As the demo's SAE has it. */
const l0 = 16;
/** The demo's shards are 40; fewer are read as well. */
const shards = 16;
/** Several pools in each round. */
const steps = 40;

const cases = [{ name: 'an SAE step with its batch read from the disk' }, { name: 'reading shuffled batches alone' }];

export const reader: Bench = {
  summary: "an SAE's steps on batches from the shuffled reader against steps on a batch in memory; the reader alone against pyarrow",
  run: (settings) => withFolder((folder) => run(folder, settings)),
};

async function run(folder: string, { threads, rounds, only, log }: BenchSettings): Promise<BenchOutcome> {
  const entries: FileEntry[] = [];
  log(`writing ${shards} shards of ${rows} vectors`);
  for (let shard = 0; shard < shards; shard++) entries.push((await putShard(folder, shard, rows, d)).entry);
  const { x, ...weights } = saeInputs(d, features, 1, 1, l0);
  if (x === undefined) throw new Error('saeInputs gives x');
  const sae = await writeTensors(folder, 'sae', weights);
  const options = { store: folder, artifact, entries, d, batchSize, mixShards, sae, threads };
  const ours = (mode: 'train' | 'memory' | 'batches') => ({ ...oursCommand('reader', { ...options, mode }, threads), name: mode });
  const outcome: BenchOutcome = { cases: [], notes: [], backend: '' };
  const shape = `${batchSize} × ${d}, ${mixShards} shards mixed`;
  for (const { name } of chosen(cases, only)) {
    log(name);
    const reads = name.includes('alone');
    const peer = reads ? peerCommand('pyarrow', await peersPython(log, process.env, readerPeers), 'shuffled_batches', { files: entries.map(({ path }) => join(folder, artifactPath(artifact, path))), mixShards, batchSize, scale: 0.5 }, threads) : ours('memory');
    const { measured, failures } = await alternate([ours(reads ? 'batches' : 'train'), peer], { rounds, warmups: 1, steps }, log);
    const [mine, other] = measured as [Measured, Measured?];
    outcome.notes.push(...failureNotes(name, failures));
    outcome.backend = mine.version;
    if (other === undefined) continue;
    requireSame(mine, other, 'rows', 0);
    const megabytes = (batchSize * d * 2) / 1e6;
    const peerVersion = reads ? other.version : 'the same step, its batch in memory';
    outcome.cases.push(compare(name, 'ms', mine.ms, other.ms, peerVersion, reads ? { note: shape } : { note: shape, goal: 0.95 }));
    if (reads) outcome.notes.push(`the reader alone gives ${Math.round((batchSize / mine.ms) * 1_000)} vectors/s, ${Math.round((megabytes / mine.ms) * 1_000)} MB/s of file; peak memory ${Math.round(mine.peakRssBytes / 1e6)} MB, pyarrow ${Math.round(other.peakRssBytes / 1e6)} MB`);
    else {
      const { waitingFraction, blocksFraction } = mine.values.at(-1)! as { waitingFraction: number; blocksFraction: number };
      const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
      outcome.notes.push(`after its first batch, training waits ${percent(blocksFraction)} of its time for blocks from the disk, and ${percent(waitingFraction - blocksFraction)} goes into assembling batches; peak memory ${Math.round((mine.peakRssBytes - other.peakRssBytes) / 1e6)} MB more than with a batch in memory, of which two pools are ${Math.round((2 * mixShards * 4_096 * d * 2) / 1e6)} MB`);
    }
  }
  return outcome;
}
