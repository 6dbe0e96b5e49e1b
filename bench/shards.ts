// Writing activation shards: float32 vectors to half precision, Parquet, SHA-256 and a durable object, against writing
// the same bytes raw, on a disk, in memory and on S3. Then whether others read what we write, and how fast.
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { startS3Server } from '../setup/s3Server.ts';
import { chosen, failureNotes, withFolder, type Bench, type BenchOutcome, type BenchSettings } from './bench.ts';
import { compare } from './result.ts';
import { alternate, requireSame, type Measured } from './rounds.ts';
import { readShards } from './shardReading.ts';
import { oursCommand } from './side.ts';

/** A third of a gigabyte in float32: several parts of a multipart upload. */
const shape = { rows: 163_840, d: 512 };

interface Place {
  name: string;
  goal?: number;
  use(run: (store: string, env: NodeJS.ProcessEnv) => Promise<void>): Promise<void>;
}

const places: Place[] = [
  { name: 'write a shard to a folder on the disk', goal: 0.8, use: (run) => inFolder(tmpdir(), run) },
  { name: 'write a shard to S3 (versitygw)', goal: 0.8, use: onS3 },
  // Nothing to wait for: what is left is processor time, hashing most of it.
  { name: 'write a shard to a folder in memory', use: (run) => inFolder('/dev/shm', run) },
];

export const shards: Bench = {
  summary: 'activation shards written (conversion, hash) against the same bytes raw: disk, S3, memory; read against pyarrow; what others find in them',
  run,
};

async function run(settings: BenchSettings): Promise<BenchOutcome> {
  const { threads, rounds, only, log } = settings;
  const outcome: BenchOutcome = { cases: [], notes: [], backend: `Node ${process.versions.node}` };
  for (const { name, goal, use } of chosen(places, only)) {
    if (name.includes('memory') && !existsSync('/dev/shm')) continue;
    log(name);
    await use(async (store, env) => {
      const command = (mode: 'shard' | 'raw') => ({ ...oursCommand('shards', { ...shape, mode, store, threads }, threads, env), name: mode });
      const { measured, failures } = await alternate([command('shard'), command('raw')], { rounds, warmups: 1, steps: 1 }, log);
      const [ours, raw] = measured as [Measured, Measured?];
      outcome.notes.push(...failureNotes(name, failures));
      if (raw === undefined) return;
      requireSame(ours, raw, 'bytes', 0);
      const megabytes = ours.values[0]!['bytes']! / 1e6;
      const speed = (ms: number) => `${Math.round((megabytes / ms) * 1_000)} MB/s`;
      outcome.notes.push(`${name}: ${speed(ours.ms)} of file, ${speed(ours.ms / 2)} of float32, against ${speed(raw.ms)} raw; peak memory ${Math.round(ours.peakRssBytes / 1e6)} MB`);
      outcome.cases.push(compare(name, 'ms', ours.ms, raw.ms, raw.version, goal === undefined ? {} : { goal, note: `${Math.round(megabytes)} MB` }));
    });
  }
  for (const { name } of chosen([{ name: 'read a shard from the disk' }], only)) {
    log(name);
    await withFolder((folder) => readShards(name, folder, shape, settings, outcome));
  }
  return outcome;
}

async function inFolder(parent: string, run: (store: string, env: NodeJS.ProcessEnv) => Promise<void>): Promise<void> {
  await withFolder((folder) => run(folder, process.env), parent);
}

async function onS3(run: (store: string, env: NodeJS.ProcessEnv) => Promise<void>): Promise<void> {
  const server = await startS3Server('bench');
  try {
    await run('s3://bench/store', { ...process.env, ...server.env });
  } finally {
    await server.stop();
  }
}
