// What all benches have in common: their settings, how a bench is described, and a folder for the files both sides read.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeSafetensors, type TensorInput } from '../data/safetensors.ts';
import type { BenchCase } from './result.ts';
import type { Alternated } from './rounds.ts';

export interface BenchSettings {
  threads: number;
  rounds: number;
  /** Cases whose name contains this only. */
  only?: string;
  /** Shards of `fanout`. */
  shards?: number;
  /** Of `orchestration`: the server (host:port), or the state folder of one of our own, and the run's workflow id. */
  address?: string;
  state?: string;
  run?: string;
  /** Of `soak`: the text it reads, and how many vectors it makes. */
  corpus?: string;
  vectors?: number;
  log: (line: string) => void;
}

/** What a bench found: the first case is its headline. */
export interface BenchOutcome {
  cases: BenchCase[];
  notes: string[];
  /** What computed our side: "tensorflow 2.21.0". */
  backend: string;
  /** Pictures and the like that are kept beside the result, by name. */
  files?: Record<string, string>;
}

export interface Bench {
  /** One line for the list. */
  summary: string;
  /** Where more rounds would tell nothing: the number there are. */
  rounds?: number;
  run(settings: BenchSettings): Promise<BenchOutcome>;
}

/** Runs `use` with a temporary folder in `parent`, deleted afterwards. */
export async function withFolder<Result>(use: (folder: string) => Promise<Result>, parent = tmpdir()): Promise<Result> {
  const folder = await mkdtemp(join(parent, 'saeflow-bench-'));
  try {
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Writes tensors for both sides to read and returns the file's path. */
export async function writeTensors(folder: string, name: string, tensors: Record<string, TensorInput>): Promise<string> {
  const path = join(folder, `${name}.safetensors`);
  await writeFile(path, encodeSafetensors(tensors));
  return path;
}

/** The shapes or variants of a bench that `only` asks for. */
export function chosen<Part extends { name: string }>(parts: readonly Part[], only: string | undefined): Part[] {
  return parts.filter(({ name }) => only === undefined || name.includes(only));
}

/** Why a peer is missing from the cases of `name`. */
export function failureNotes(name: string, failures: Alternated['failures']): string[] {
  return failures.map((failure) => `${name}: ${failure.name} does not run here (${failure.reason})`);
}
