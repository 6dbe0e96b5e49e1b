// An imported tokenizer's file: found when a run starts, kept in the store by its content, and copied into each artifact
// of token shards, so that whoever opens the shards later has the vocabulary they were written with.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { FileEntry } from '../schemas/artifact.ts';
import type { TokenizeConfig } from '../schemas/config.ts';
import { UserError } from '../schemas/errors.ts';
import type { ArtifactId } from '../schemas/stages.ts';
import { artifactPath } from './artifact.ts';
import { NotFoundError, openStore, type ArtifactStore } from './artifactStore.ts';
import { END_OF_TEXT } from './rankedTokens.ts';
import { createTokenizer, type Tokenizer } from './tokenizer.ts';
import { readTokenizerJson } from './tokenizerJson.ts';

/** The copy's name in an artifact. */
const COPY = 'tokenizer.json';

/** A configuration that says all of its tokenizer, and the tokenizer. */
export interface FoundTokenizer {
  /** With the file's SHA-256, the number of its ids and the name of its end of text. */
  config: TokenizeConfig;
  tokenizer: Tokenizer;
  /** The file's; none for GPT-2. */
  bytes?: Uint8Array;
}

/**
 * The tokenizer a configuration names.
 *
 * @param cwd where a relative path begins.
 * @throws UserError when its file can't be read, is not the one of the given SHA-256, or holds no byte-level BPE.
 */
export async function findTokenizer(config: TokenizeConfig, cwd: string): Promise<FoundTokenizer> {
  const { tokenizer: chosen, endOfText = END_OF_TEXT } = config;
  if (chosen === 'gpt2') return { config, tokenizer: createTokenizer(config.vocabSize) };
  const bytes = await read(chosen.file, cwd);
  const sha256 = sha256Of(bytes);
  if (chosen.sha256 !== undefined && chosen.sha256 !== sha256) {
    throw new UserError(`tokenize.tokenizer.sha256: ${chosen.file} has SHA-256 ${sha256}, not ${chosen.sha256}`, 'Bring the file back, or leave sha256 out to use it as it is now.');
  }
  const tokenizer = readTokenizerJson(Buffer.from(bytes).toString(), endOfText, chosen.file);
  return { config: { ...config, tokenizer: { file: chosen.file, sha256 }, endOfText, vocabSize: tokenizer.vocabSize }, tokenizer, bytes };
}

/** Finds the tokenizer and keeps its file in the store; returns the configuration that says all of it. */
export async function resolveTokenizer(store: ArtifactStore, config: TokenizeConfig, cwd: string): Promise<TokenizeConfig> {
  const found = await findTokenizer(config, cwd);
  if (found.bytes !== undefined) await store.putIfAbsent(keptPath(sha256Of(found.bytes)), found.bytes);
  return found.config;
}

/** Copies the file of an imported tokenizer into the artifact that is about to be made with it. */
export async function copyTokenizer(store: ArtifactStore, id: ArtifactId, { tokenizer }: TokenizeConfig): Promise<void> {
  if (tokenizer === 'gpt2') return;
  const { file, sha256 } = tokenizer;
  if (sha256 === undefined) throw new UserError(`tokenize.tokenizer.sha256 is missing (of ${file})`, 'Start the pipeline, which finds it.');
  await store.putIfAbsent(artifactPath(id, COPY), await readKept(store, keptPath(sha256), sha256));
}

/** The file that belongs to a finished artifact of token shards: none for GPT-2. */
export async function tokenizerFiles(store: ArtifactStore, id: ArtifactId, { tokenizer }: TokenizeConfig): Promise<FileEntry[]> {
  if (tokenizer === 'gpt2') return [];
  return [{ path: COPY, sha256: tokenizer.sha256!, bytes: await store.size(artifactPath(id, COPY)) }];
}

/**
 * The tokenizer of an artifact of token shards.
 *
 * @throws UserError when the copy of its file is missing or damaged.
 */
export async function openTokenizer(store: ArtifactStore, id: ArtifactId, { tokenizer, vocabSize, endOfText = END_OF_TEXT }: TokenizeConfig): Promise<Tokenizer> {
  if (tokenizer === 'gpt2') return createTokenizer(vocabSize);
  const copy = artifactPath(id, COPY);
  return readTokenizerJson(Buffer.from(await readKept(store, copy, tokenizer.sha256!)).toString(), endOfText, `${store.uri}/${copy}`);
}

/** Where files are kept by their content. */
function keptPath(sha256: string): string {
  return `tokenizers/${sha256}.json`;
}

async function readKept(store: ArtifactStore, place: string, sha256: string): Promise<Uint8Array> {
  const bytes = await store.get(place).catch((error: unknown) => {
    if (!(error instanceof NotFoundError)) throw error;
    throw new UserError(`${store.uri}/${place} is missing: the tokenizer of SHA-256 ${sha256}`, 'Start the run again where the file of tokenize.tokenizer can be read.');
  });
  const found = sha256Of(bytes);
  if (found === sha256) return bytes;
  throw new UserError(`${store.uri}/${place} is corrupted: SHA-256 ${sha256} expected, ${found} found`, 'Delete it and start the run again where the file of tokenize.tokenizer can be read.');
}

async function read(file: string, cwd: string): Promise<Uint8Array> {
  try {
    if (file.startsWith('s3://')) return await openStore(path.posix.dirname(file)).get(path.posix.basename(file));
    return await readFile(file.startsWith('file:') ? fileURLToPath(file) : path.resolve(cwd, file));
  } catch (cause) {
    if (cause instanceof UserError) throw cause;
    throw new UserError(`tokenize.tokenizer: ${file} can't be read: ${cause instanceof Error ? cause.message : String(cause)}`, 'Give the path, or the file: or s3: URI, of a tokenizer.json that the worker can read.', { cause });
  }
}

function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
