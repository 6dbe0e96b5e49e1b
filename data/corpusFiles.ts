// The files a corpus is made of, found by glob on a disk, in S3 or on the Hugging Face hub, with their SHA-256: the
// corpus' identity is content, not place. The list is made once a run; later reads hold to what it says.
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { glob, isDynamicPattern } from 'tinyglobby';
import { z } from 'zod';
import { UserError } from '../schemas/errors.ts';
import { scanSource, type CorpusScan } from './corpusScan.ts';
import type { ExpectedContent } from './corpusSource.ts';
import { buildDemoCorpus } from './demoCorpus.ts';
import { listHubFiles } from './hubDataset.ts';
import { hubScheme } from './hubUri.ts';
import { defaultPatience, type Patience } from './patience.ts';
import { listS3Objects, s3Scheme } from './s3Corpus.ts';

const size = z.int().nonnegative();

export const corpusFile = z.strictObject({
  /** Absolute path, s3://bucket/key, or hf://datasets/OWNER/NAME@COMMIT/PATH. */
  path: z.string(),
  /**
   * For provenance: relative to the working directory, or, outside it and in S3, to what the files have in common; of a
   * dataset OWNER/NAME/PATH. '/' on every system.
   */
  name: z.string(),
  /** As stored. */
  bytes: size,
  sha256: z.string(),
  /** Of a file far away: what its server tags this content with. */
  tag: z.string().optional(),
  format: z.enum(['txt', 'jsonl', 'parquet']),
  compression: z.enum(['none', 'gz', 'zst']),
  lineMarkBytes: size,
  /** Line feeds before byte lineMarkBytes, 2 · lineMarkBytes, … of a plain .jsonl file; empty for others. */
  lineMarks: z.array(size),
});
export type CorpusFile = z.infer<typeof corpusFile>;
export type CorpusFileKind = Pick<CorpusFile, 'format' | 'compression'>;

/** A file before anyone has read it. */
export interface FoundFile extends CorpusFileKind {
  readonly path: string;
  readonly name: string;
  readonly bytes: number;
  readonly expected?: ExpectedContent;
}

/** The pattern that stands for the corpus of data/demoCorpus.ts. */
export const DEMO_CORPUS_PATTERN = 'demo:';
/** The same wherever the cache is. */
const DEMO_CORPUS_NAME = 'demo-corpus.jsonl';
export const SUPPORTED_EXTENSIONS = '.txt, .jsonl and .parquet, each as it is or with .gz or .zst after it';

/** 160 marks for 10 GiB; at most this much is read again to number a shard's lines. */
const LINE_MARK_BYTES = 64 * 2 ** 20;
const SCANS_AT_ONCE = 4;

/**
 * The corpus' files, sorted by name, each once. Reads all of them once, but for those whose SHA-256 the hub states.
 *
 * @param patterns globs or paths, relative to `cwd` or absolute; s3://bucket/pattern; hf://datasets/OWNER/NAME[@REVISION][/PATTERN],
 * whose revision is pinned to the commit it is now at; `demo:` builds and names the demo corpus.
 * @param lineMarkBytes distance of the places up to which lines are counted.
 * @throws UserError if a pattern matches nothing or a directory, a file can't be read or has another format, or all are empty.
 * @example
 * const files = await resolveCorpusFiles(['corpus/*.jsonl.zst'], process.cwd());
 */
export async function resolveCorpusFiles(patterns: readonly string[], cwd: string, lineMarkBytes = LINE_MARK_BYTES, patience: Patience = defaultPatience): Promise<CorpusFile[]> {
  const found = await findCorpusFiles(patterns, cwd, patience);
  const files: CorpusFile[] = [];
  for (let at = 0; at < found.length; at += SCANS_AT_ONCE) {
    files.push(...(await Promise.all(found.slice(at, at + SCANS_AT_ONCE).map((file) => resolveFile(file, lineMarkBytes, patience)))));
  }
  return files;
}

/**
 * The corpus' files without reading them, sorted by name, each once.
 *
 * @throws UserError as resolveCorpusFiles.
 */
export async function findCorpusFiles(patterns: readonly string[], cwd: string, patience: Patience = defaultPatience): Promise<FoundFile[]> {
  const matched = await Promise.all(patterns.map((pattern) => match(pattern, cwd, patience)));
  const unique = [...new Map(matched.flat().map((file) => [file.path, file])).values()];
  const named = provenanceNames(unique, cwd);
  const files = unique.map((file) => ({ ...file, name: file.name ?? (named.get(file.path) as string), ...corpusFileKind(file.path) }));
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

async function resolveFile({ expected, ...file }: FoundFile, lineMarkBytes: number, patience: Patience): Promise<CorpusFile> {
  const isDivisible = file.format === 'jsonl' && file.compression === 'none';
  const scan = (): Promise<CorpusScan> => scanSource({ path: file.path, expected }, isDivisible ? lineMarkBytes : Infinity, patience);
  const isKnown = typeof expected?.sha256 === 'string' && !isDivisible;
  const { bytes, sha256, lineMarks } = isKnown ? { bytes: file.bytes, sha256: expected.sha256 as string, lineMarks: [] } : await scan();
  return { ...file, bytes, sha256, ...(typeof expected?.tag === 'string' ? { tag: expected.tag } : {}), lineMarkBytes, lineMarks };
}

type Matched = Omit<FoundFile, 'name' | 'format' | 'compression'> & { name?: string };

async function match(pattern: string, cwd: string, patience: Patience): Promise<Matched[]> {
  if (pattern === DEMO_CORPUS_PATTERN) return [{ ...(await matchDemo()), name: DEMO_CORPUS_NAME }];
  if (pattern.startsWith(s3Scheme)) {
    return (await listS3Objects(pattern, patience)).map(({ uri, bytes, tag }) => ({ path: uri, bytes, expected: { bytes, sha256: null, tag } }));
  }
  if (pattern.startsWith(hubScheme)) {
    const files = await listHubFiles(pattern, patience);
    return files.map(({ uri, repo, path: file, bytes, sha256 = null, tag }) => ({ path: uri, name: `${repo}/${file}`, bytes, expected: { bytes, sha256, tag } }));
  }
  return matchOnDisk(pattern, cwd);
}

async function matchDemo(): Promise<Matched> {
  const { file, bytes } = await buildDemoCorpus();
  return { path: file, bytes };
}

async function matchOnDisk(pattern: string, cwd: string): Promise<Matched[]> {
  const asPath = path.resolve(cwd, pattern);
  const found = await stat(asPath).catch(() => undefined);
  if (found?.isFile()) return [{ path: asPath, bytes: found.size }];
  if (found?.isDirectory()) {
    throw new UserError(`corpus.paths: "${pattern}" is a directory (${asPath})`, `Name files by a pattern, such as "${path.posix.join(pattern, '**/*.jsonl')}".`);
  }
  const files = isDynamicPattern(pattern) ? await glob(pattern, { cwd, absolute: true, expandDirectories: false }) : [];
  if (files.length === 0) {
    throw new UserError(`corpus.paths: "${pattern}" matches no file under ${path.resolve(cwd)}`, `Check the pattern; supported are ${SUPPORTED_EXTENSIONS}.`);
  }
  return Promise.all(files.map(async (file) => ({ path: path.resolve(file), bytes: (await stat(file)).size })));
}

/** Never shows what lies above a corpus (a home directory, a bucket): pages are published with these names. */
function provenanceNames(files: readonly Matched[], cwd: string): Map<string, string> {
  const root = path.resolve(cwd) + path.sep;
  const paths = files.map((file) => file.path);
  const inside = paths.filter((file) => file.startsWith(root));
  const outside = paths.filter((file) => !file.startsWith(root) && !file.includes('://'));
  return new Map([
    ...inside.map((file) => [file, path.relative(cwd, file).split(path.sep).join('/')] as const),
    ...belowCommon(outside, path.sep),
    ...belowCommon(paths.filter((file) => file.startsWith(s3Scheme)), '/'),
  ]);
}

/** Names from the deepest folder that holds all of them. */
function belowCommon(paths: readonly string[], separator: string): [string, string][] {
  const [first = [], ...others] = paths.map((file) => file.split(separator).slice(0, -1));
  const differs = first.findIndex((part, depth) => others.some((other) => other[depth] !== part));
  const depth = differs < 0 ? first.length : differs;
  return paths.map((file) => [file, file.split(separator).slice(depth).join('/')]);
}
