// An activation shard as others find it: read back by pyarrow, polars and DuckDB as docs/formats.md says, every value
// compared, and by pyarrow timed against our own reading.
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { rowsPerGroup, type RowGroup } from '../data/activationFormat.ts';
import { activationShardPieces, cutIntoGroups } from '../data/activationWriter.ts';
import { artifactPath } from '../data/artifact.ts';
import { openStore } from '../data/artifactStore.ts';
import { toFloat16 } from '../data/float16.ts';
import type { FileEntry } from '../schemas/artifact.ts';
import { RandomStream } from '../schemas/random.ts';
import { runCommand } from '../setup/command.ts';
import { failureNotes, type BenchOutcome, type BenchSettings } from './bench.ts';
import { peersPython, readerPeers } from './peers/setup.ts';
import { compare } from './result.ts';
import { alternate, requireSame, type Measured } from './rounds.ts';
import { oursCommand, peerCommand } from './side.ts';

export const artifact = { stage: 'sampleActivations', key: 'b'.repeat(64) } as const;
/** Sums of float32 in another order. */
const tolerance = 1e-6;

/** Stores a shard of normal numbers of deviation 2 in half precision: eight row groups that take turns. */
export async function putShard(folder: string, shard: number, rows: number, d: number): Promise<{ entry: FileEntry; columns: RowGroup }> {
  const stream = new RandomStream(1, 'bench', 'shard', shard);
  const drawn = toFloat16(Float32Array.from({ length: Math.min(rows, 8 * rowsPerGroup) * d }, () => 2 * stream.normal()));
  const values = new Uint16Array(rows * d);
  for (let at = 0; at < values.length; at += drawn.length) values.set(drawn.subarray(0, values.length - at), at);
  const integers = (n: number) => Int32Array.from({ length: rows }, () => stream.integer(n));
  const columns = { activation: new Uint8Array(values.buffer), document: integers(10_000), position: integers(1_024), token: integers(50_257) };
  const path = `shards/${String(shard).padStart(5, '0')}.parquet`;
  const stored = await openStore(folder).putPieces(artifactPath(artifact, path), activationShardPieces({ d, dtype: 'float16', metadata: {} }, cutIntoGroups(columns)));
  return { entry: { path, ...stored, rows }, columns };
}

/** Adds the case of reading a shard whole, and the note that every reader finds every value. */
export async function readShards(name: string, folder: string, { rows, d }: { rows: number; d: number }, { threads, rounds, log }: BenchSettings, outcome: BenchOutcome): Promise<void> {
  const python = await peersPython(log, process.env, readerPeers);
  const { entry, columns } = await putShard(folder, 0, rows, d);
  const file = join(folder, artifactPath(artifact, entry.path));
  outcome.notes.push(await requireEqual(python, file, columns));
  const { measured, failures } = await alternate([oursCommand('readShard', { store: folder, artifact, entry, d }, threads), peerCommand('pyarrow', python, 'read_shard', { file }, threads)], { rounds, warmups: 1, steps: 1 }, log);
  const [ours, peer] = measured as [Measured, Measured?];
  outcome.notes.push(...failureNotes(name, failures));
  if (peer === undefined) return;
  requireSame(ours, peer, 'rows', 0);
  requireSame(ours, peer, 'magnitude', tolerance);
  outcome.cases.push(compare(name, 'ms', ours.ms, peer.ms, peer.version, { note: `${Math.round(entry.bytes / 1e6)} MB, into float32, checksums by ours alone` }));
}

const found = z.record(z.string(), z.record(z.string(), z.string()));

/** Throws Error when a reader finds other values than were written; names the readers otherwise. */
async function requireEqual(python: string, file: string, columns: RowGroup): Promise<string> {
  const script = fileURLToPath(new URL('./peers/check_readers.py', import.meta.url));
  const { stdout } = await runCommand(python, [script, file], { env: process.env });
  const readers = found.parse(JSON.parse(stdout.trim().split('\n').at(-1)!));
  for (const [reader, hashes] of Object.entries(readers)) {
    for (const [column, values] of Object.entries(columns) as [string, RowGroup[keyof RowGroup]][]) {
      const expected = createHash('sha256').update(values).digest('hex');
      if (hashes[column] !== expected) throw new Error(`${reader} finds other values in column ${column}: SHA-256 ${hashes[column]}, ${expected} was written`);
    }
  }
  return `${Object.keys(readers).join(', ')} find every value that was written, page checksums verified by pyarrow`;
}
