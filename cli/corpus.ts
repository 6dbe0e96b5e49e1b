// A corpus looked at from the command line, before a run begins: do its files exist, how large are they, and about how
// many tokens will they make. Nothing is hashed here; the run does that once, on a worker.
import { resolve } from 'node:path';
import { DEMO_CORPUS_PATTERN, findCorpusFiles, type FoundFile } from '../data/corpusFiles.ts';
import { isRemote } from '../data/corpusSource.ts';
import { readDocuments } from '../data/documents.ts';
import { RemoteTrouble, shortPatience } from '../data/patience.ts';
import { findTokenizer } from '../data/tokenizerFile.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import type { CorpusConfig, PipelineConfig } from '../schemas/config.ts';
import { UserError } from '../schemas/errors.ts';
import type { CorpusSize } from './estimates.ts';

/** A corpus' size, and in words where the numbers come from. */
export interface CorpusLook {
  size: CorpusSize;
  source: string;
}

// OpenWebText with the reference's split, GPT-2 tokens [shehper/sparse-dictionary-learning, nanoGPT].
const openWebText = { trainTokens: 9_035_582_198, heldOutTokens: 4_434_897 };
const englishBytesPerToken = 4.4;
// docs/demo-corpus.md: its bytes are pinned, and its tokens counted at the demo's 8,192 ids.
const demoCorpus = { bytes: 12_897_491, tokens: 6_414_979 };
const sampledTextBytes = 1e6;
// gzip and zstd on text; Parquet files are compressed inside.
const expansion = 2.7;

/**
 * Refuses a corpus that a run would refuse, at once: a pattern without files, a directory, an unknown kind of file,
 * files that are all empty, a dataset that is gated. One that can't be reached from here now is left to the run.
 *
 * @throws UserError naming the pattern or the file.
 */
export async function requireCorpus(patterns: readonly string[], cwd: string): Promise<void> {
  if (patterns.includes(DEMO_CORPUS_PATTERN)) return;
  await findCorpusFiles(patterns, cwd, shortPatience).catch(unlessRemoteTrouble);
}

/** The configuration with what the file of an imported tokenizer says: how many ids there are decides what a run costs. */
export async function withTokenizer(config: PipelineConfig, cwd: string): Promise<PipelineConfig> {
  return config.tokenize.tokenizer === 'gpt2' ? config : { ...config, tokenize: (await findTokenizer(config.tokenize, cwd)).config };
}

/** The corpus' size: looked at and sampled where it is there, else OpenWebText's documented one. */
export async function lookAtCorpus(config: PipelineConfig, cwd: string): Promise<CorpusLook> {
  const { corpus, tokenize } = config;
  if (corpus.paths.includes(DEMO_CORPUS_PATTERN)) {
    const { bytes, tokens } = demoCorpus;
    return { size: sizeOf(bytes, bytes, tokens, tokenize.heldOutFraction), source: 'the demo corpus' };
  }
  const files = await findCorpusFiles(corpus.paths, cwd, shortPatience).catch((error: unknown) => {
    if (error instanceof UserError) return undefined;
    return unlessRemoteTrouble(error);
  });
  if (files === undefined) {
    const textBytes = (openWebText.trainTokens + openWebText.heldOutTokens) * englishBytesPerToken;
    return { size: { diskBytes: textBytes, textBytes, ...openWebText }, source: `${corpus.paths.join(', ')} is not to be seen from here: counted as OpenWebText` };
  }
  const diskBytes = files.reduce((sum, { bytes }) => sum + bytes, 0);
  const textBytes = files.reduce((sum, file) => sum + file.bytes * (isCompressed(file) ? expansion : 1), 0);
  const { tokenizer } = await findTokenizer(tokenize, cwd);
  const sample = await sampleTokens(files, corpus, tokenizer);
  const tokens = textBytes / sample.bytesPerToken;
  return { size: sizeOf(diskBytes, textBytes, tokens, tokenize.heldOutFraction), source: `${files.length} files, ${sample.bytesPerToken.toFixed(2)} bytes a token in the first ${(sample.textBytes / 1e6).toFixed(1)} MB` };
}

/** Paths given on the command line are relative to where it was typed; the worker may run elsewhere. */
export function absolutePatterns(patterns: readonly string[], cwd: string): string[] {
  return patterns.map((pattern) => (pattern === DEMO_CORPUS_PATTERN || isRemote(pattern) ? pattern : resolve(cwd, pattern)));
}

function unlessRemoteTrouble(error: unknown): undefined {
  if (error instanceof RemoteTrouble) return undefined;
  throw error;
}

async function sampleTokens(files: readonly FoundFile[], corpus: CorpusConfig, tokenizer: Tokenizer): Promise<{ bytesPerToken: number; textBytes: number }> {
  let textBytes = 0;
  let tokens = 0;
  // Of a file far away only the beginning is fetched, so its SHA-256 can't be checked.
  const parts = files.map(({ path, expected }, fileIndex) => ({ fileIndex, name: path, path, ...(expected === undefined ? {} : { expected: { ...expected, sha256: null } }), byteStart: 0, byteEnd: null, lineMark: { byte: 0, lines: 0 } }));
  // A broken line is the run's business to report, with its share of all lines.
  for await (const { text } of readDocuments({ index: 0, bytes: 0, parts }, { ...corpus, maxBadFraction: 1, patience: shortPatience })) {
    const sample = text.slice(0, sampledTextBytes);
    textBytes += Buffer.byteLength(sample);
    tokens += tokenizer.encode(sample).length + 1;
    if (textBytes >= sampledTextBytes) break;
  }
  return tokens === 0 ? { bytesPerToken: englishBytesPerToken, textBytes } : { bytesPerToken: textBytes / tokens, textBytes };
}

function sizeOf(diskBytes: number, textBytes: number, tokens: number, heldOutFraction: number): CorpusSize {
  const heldOutTokens = Math.round(tokens * heldOutFraction);
  return { diskBytes, textBytes, trainTokens: Math.round(tokens) - heldOutTokens, heldOutTokens };
}

function isCompressed({ format, compression }: FoundFile): boolean {
  return format === 'parquet' || compression !== 'none';
}
