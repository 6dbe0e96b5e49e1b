// A corpus file's bytes, wherever it lies: on a disk, in S3 or on the Hugging Face hub. What is read from its first byte
// to its last is held against the SHA-256 that the corpus was resolved to.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { z } from 'zod';
import { UserError } from '../schemas/errors.ts';
import { openHubFile } from './hubDataset.ts';
import { hubScheme } from './hubUri.ts';
import { ChangedContent, defaultPatience, readResumably, RemoteTrouble, type Patience } from './patience.ts';
import { openS3Object, s3Scheme } from './s3Corpus.ts';

const READ_BYTES = 2 ** 18;

/** What a file was when the corpus was resolved. */
export const expectedContent = z.strictObject({
  bytes: z.int().nonnegative(),
  /** null while it is not known. */
  sha256: z.string().nullable(),
  /** Of a file far away S3's entity tag, or the hub's content tag: another one is another content. */
  tag: z.string().nullable(),
});
export type ExpectedContent = z.infer<typeof expectedContent>;

/** A file to read: a path or an address, and what must be there; a file far away needs it. */
export interface CorpusSource {
  /** Absolute path, s3://bucket/key or hf://datasets/OWNER/NAME@COMMIT/PATH. */
  readonly path: string;
  readonly expected?: ExpectedContent | undefined;
}

export function isRemote(path: string): boolean {
  return path.startsWith(s3Scheme) || path.startsWith(hubScheme);
}

/**
 * Bytes [start, end) of a file; `end` absent: to its end. Goes on by itself where a connection breaks.
 *
 * @throws UserError if a person must mend it; ChangedContent if what came from far away is not what the corpus was
 * resolved to.
 */
export async function* readSource(source: CorpusSource, start = 0, end?: number, patience: Patience = defaultPatience): AsyncGenerator<Buffer> {
  const { expected } = source;
  const last = end === undefined || expected === undefined ? end : Math.min(end, expected.bytes);
  const hash = start === 0 && (last === undefined || last === expected?.bytes) && typeof expected?.sha256 === 'string' ? createHash('sha256') : undefined;
  for await (const chunk of isRemote(source.path) ? readFar(source, start, last, patience) : readDisk(source, start, last)) {
    hash?.update(chunk);
    yield chunk;
  }
  const found = hash?.digest('hex');
  if (found === expected?.sha256 || found === undefined) return;
  if (!isRemote(source.path)) throw changedOnDisk(source.path, `SHA-256 ${found}, not ${expected?.sha256}`);
  throw new ChangedContent(`${source.path} came with SHA-256 ${found}, not ${expected?.sha256}: it was damaged on the way, or the server has another file`);
}

/** What to tell of a corpus file that can't be read: the error itself if it says enough. */
export function unreadable(file: string, cause: unknown): Error {
  if (cause instanceof UserError || cause instanceof RemoteTrouble || cause instanceof ChangedContent) return cause;
  const why = cause instanceof Error ? cause.message : String(cause);
  return new UserError(`${file} can't be read: ${why}`, 'Check that the file is there, is whole and may be read by the user who runs the worker.', { cause });
}

function readFar({ path, expected }: CorpusSource, start: number, end: number | undefined, patience: Patience): AsyncGenerator<Buffer> {
  if (expected === undefined) throw new Error(`${path} is read without what must be there`);
  const last = end ?? expected.bytes;
  const open = path.startsWith(s3Scheme)
    ? (at: number) => openS3Object(path, expected.tag, at, last, patience.idleMs)
    : (at: number) => openHubFile(path, expected, at, last, patience.idleMs);
  return readResumably(open, start, last, patience);
}

async function* readDisk({ path, expected }: CorpusSource, start: number, end: number | undefined): AsyncGenerator<Buffer> {
  const bytes = expected === undefined ? undefined : (await stat(path)).size;
  if (bytes !== expected?.bytes) throw changedOnDisk(path, `${bytes} bytes, not ${expected?.bytes}`);
  if (end !== undefined && end <= start) return;
  yield* createReadStream(path, { start, ...(end === undefined ? {} : { end: end - 1 }), highWaterMark: READ_BYTES }) as AsyncIterable<Buffer>;
}

function changedOnDisk(path: string, how: string): UserError {
  return new UserError(`${path} is not what it was when the run began: ${how}`, 'Put it back as it was, or start the run again: it looks at the corpus anew.');
}
