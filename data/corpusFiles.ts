// The files a corpus is made of, found by glob, with their SHA-256: the corpus' identity is content, not place.
// The same pass notes line counts at intervals, so that a shard in the middle of a large file can name its lines.

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { glob, isDynamicPattern } from 'tinyglobby';
import { z } from 'zod';
import { UserError } from '../schemas/errors.ts';
import { buildDemoCorpus } from './demoCorpus.ts';

const size = z.int().nonnegative();

export const corpusFile = z.strictObject({
  path: z.string(),
  /** For provenance: relative to the working directory, or, outside it, to what the files have in common; '/' on every system. */
  name: z.string(),
  /** On disk. */
  bytes: size,
  sha256: z.string(),
  format: z.enum(['txt', 'jsonl', 'parquet']),
  compression: z.enum(['none', 'gz', 'zst']),
  lineMarkBytes: size,
  /** Line feeds before byte lineMarkBytes, 2 · lineMarkBytes, … of a plain .jsonl file; empty for others. */
  lineMarks: z.array(size),
});
export type CorpusFile = z.infer<typeof corpusFile>;
export type CorpusFileKind = Pick<CorpusFile, 'format' | 'compression'>;

/** The pattern that stands for the corpus of data/demoCorpus.ts. */
export const DEMO_CORPUS_PATTERN = 'demo:';
/** The same wherever the cache is. */
const DEMO_CORPUS_NAME = 'demo-corpus.jsonl';
export const SUPPORTED_EXTENSIONS = '.txt, .jsonl and .parquet, each as it is or with .gz or .zst after it';

/** 160 marks for 10 GiB; at most this much is read again to number a shard's lines. */
const LINE_MARK_BYTES = 64 * 2 ** 20;

/**
 * The corpus' files, sorted by name, each once. Reads all of them once.
 *
 * @param patterns globs or paths, relative to `cwd` or absolute; `demo:` builds and names the demo corpus.
 * @param lineMarkBytes distance of the places up to which lines are counted.
 * @throws UserError if a pattern matches nothing or a directory, a file can't be read or has another format, or all are empty.
 * @example
 * const files = await resolveCorpusFiles(['corpus/*.jsonl.zst'], process.cwd());
 */
export async function resolveCorpusFiles(patterns: readonly string[], cwd: string, lineMarkBytes = LINE_MARK_BYTES): Promise<CorpusFile[]> {
  const matched = await Promise.all(patterns.map((pattern) => match(pattern, cwd)));
  const paths = [...new Set(matched.flat())];
  const kinds = paths.map((file) => ({ file, ...corpusFileKind(file) }));
  const names = provenanceNames(paths, cwd);
  if (patterns.includes(DEMO_CORPUS_PATTERN)) names.set((await buildDemoCorpus()).file, DEMO_CORPUS_NAME);
  const files: CorpusFile[] = [];
  for (const { file, ...kind } of kinds) {
    const isDivisible = kind.format === 'jsonl' && kind.compression === 'none';
    files.push({ path: file, name: names.get(file) as string, ...(await scan(file, isDivisible ? lineMarkBytes : Infinity)), ...kind, lineMarkBytes });
  }
  if (files.every((file) => file.bytes === 0)) {
    throw new UserError(`the corpus is empty: ${files.length} files of 0 bytes for ${patterns.join(', ')}`, 'Name files that hold text in corpus.paths.');
  }
  return files.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

/**
 * Format and compression by a file's name.
 *
 * @throws UserError on any other extension.
 */
export function corpusFileKind(file: string): CorpusFileKind {
  const [, format, compression] = /\.(txt|jsonl|parquet)(?:\.(gz|zst))?$/i.exec(file) ?? [];
  if (format === undefined) {
    throw new UserError(`${file}: a corpus can't be read from this kind of file`, `Supported are ${SUPPORTED_EXTENSIONS}.`);
  }
  return { format: format.toLowerCase() as CorpusFileKind['format'], compression: (compression?.toLowerCase() ?? 'none') as CorpusFileKind['compression'] };
}

async function match(pattern: string, cwd: string): Promise<string[]> {
  if (pattern === DEMO_CORPUS_PATTERN) return [(await buildDemoCorpus()).file];
  const asPath = path.resolve(cwd, pattern);
  const found = await stat(asPath).catch(() => undefined);
  if (found?.isFile()) return [asPath];
  if (found?.isDirectory()) {
    throw new UserError(`corpus.paths: "${pattern}" is a directory (${asPath})`, `Name files by a pattern, such as "${path.posix.join(pattern, '**/*.jsonl')}".`);
  }
  const files = isDynamicPattern(pattern) ? await glob(pattern, { cwd, absolute: true, expandDirectories: false }) : [];
  if (files.length === 0) {
    throw new UserError(`corpus.paths: "${pattern}" matches no file under ${path.resolve(cwd)}`, `Check the pattern; supported are ${SUPPORTED_EXTENSIONS}.`);
  }
  return files.map((file) => path.resolve(file));
}

/** Never shows what lies above a corpus (a home directory): pages are published with these names. */
function provenanceNames(paths: readonly string[], cwd: string): Map<string, string> {
  const isInside = (file: string) => file.startsWith(path.resolve(cwd) + path.sep);
  const shared = commonDirectory(paths.filter((file) => !isInside(file)));
  return new Map(paths.map((file) => [file, path.relative(isInside(file) ? cwd : shared, file).split(path.sep).join('/')]));
}

function commonDirectory(paths: readonly string[]): string {
  const [first = [], ...others] = paths.map((file) => path.dirname(file).split(path.sep));
  const differs = first.findIndex((part, depth) => others.some((other) => other[depth] !== part));
  return first.slice(0, differs < 0 ? first.length : differs).join(path.sep) || path.sep;
}

async function scan(file: string, lineMarkBytes: number): Promise<Pick<CorpusFile, 'bytes' | 'sha256' | 'lineMarks'>> {
  const hash = createHash('sha256');
  const lineMarks: number[] = [];
  let bytes = 0;
  let lines = 0;
  try {
    for await (const chunk of createReadStream(file, { highWaterMark: 2 ** 20 }) as AsyncIterable<Buffer>) {
      hash.update(chunk);
      let counted = 0;
      for (let toMark = lineMarkBytes - (bytes % lineMarkBytes); toMark <= chunk.length; toMark += lineMarkBytes) {
        lines += countLineFeeds(chunk.subarray(counted, toMark));
        lineMarks.push(lines);
        counted = toMark;
      }
      if (lineMarkBytes < Infinity) lines += countLineFeeds(chunk.subarray(counted));
      bytes += chunk.length;
    }
  } catch (cause) {
    throw unreadable(file, cause);
  }
  return { bytes, sha256: hash.digest('hex'), lineMarks };
}

/** Line feeds in a piece of a file. */
export function countLineFeeds(bytes: Buffer): number {
  let lines = 0;
  for (let at = bytes.indexOf(0x0a); at >= 0; at = bytes.indexOf(0x0a, at + 1)) lines++;
  return lines;
}

/** What to tell of a corpus file that can't be read. */
export function unreadable(file: string, cause: unknown): UserError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new UserError(`${file} can't be read: ${why}`, 'Check that the file is there, is whole and may be read by the user who runs the worker.', { cause });
}
