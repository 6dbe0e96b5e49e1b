// A corpus file's bytes, wherever it lies: on a disk, in S3 or on the Hugging Face hub. What is read from far away from
// its first byte to its last is held against the SHA-256 that the corpus was resolved to.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { z } from 'zod';
import { UserError } from '../schemas/errors.ts';
import { openHubFile } from './hubDataset.ts';
import { hubScheme } from './hubUri.ts';
import { ChangedContent, defaultPatience, readResumably, RemoteTrouble, type Patience } from './patience.ts';
import { openS3Object, s3Scheme } from './s3Corpus.ts';

const READ_BYTES = 2 ** 18;

/** What a file far away was when the corpus was resolved. */
export const remoteFile = z.strictObject({
  bytes: z.int().nonnegative(),
  /** null while it is not known. */
  sha256: z.string().nullable(),
  /** S3's entity tag, or the hub's content tag: another one is another content. */
  tag: z.string().nullable(),
});
export type RemoteFile = z.infer<typeof remoteFile>;

/** A file to read: a path, or an address with what lies there. */
export interface CorpusSource {
  /** Absolute path, s3://bucket/key or hf://datasets/OWNER/NAME@COMMIT/PATH. */
  readonly path: string;
  readonly remote?: RemoteFile | undefined;
}

export function isRemote(path: string): boolean {
  return path.startsWith(s3Scheme) || path.startsWith(hubScheme);
}

/**
 * Bytes [start, end) of a file; `end` absent: to its end. Goes on by itself where a connection breaks.
 *
 * @throws UserError if a person must mend it; ChangedContent if what came is not what the corpus was resolved to.
 */
export async function* readSource({ path, remote }: CorpusSource, start = 0, end?: number, patience: Patience = defaultPatience): AsyncGenerator<Buffer> {
  if (remote === undefined) {
    yield* readDisk(path, start, end);
    return;
  }
  const last = Math.min(end ?? remote.bytes, remote.bytes);
  const open = path.startsWith(s3Scheme)
    ? (at: number) => openS3Object(path, remote.tag, at, last, patience.idleMs)
    : (at: number) => openHubFile(path, remote, at, last, patience.idleMs);
  const isWhole = start === 0 && last === remote.bytes && remote.sha256 !== null;
  const hash = createHash('sha256');
  for await (const chunk of readResumably(open, start, last, patience)) {
    if (isWhole) hash.update(chunk);
    yield chunk;
  }
  if (!isWhole) return;
  const found = hash.digest('hex');
  if (found !== remote.sha256) throw new ChangedContent(`${path} came with SHA-256 ${found}, not ${remote.sha256}: it was damaged on the way, or the server has another file`);
}

/** What to tell of a corpus file that can't be read: the error itself if it says enough. */
export function unreadable(file: string, cause: unknown): Error {
  if (cause instanceof UserError || cause instanceof RemoteTrouble || cause instanceof ChangedContent) return cause;
  const why = cause instanceof Error ? cause.message : String(cause);
  return new UserError(`${file} can't be read: ${why}`, 'Check that the file is there, is whole and may be read by the user who runs the worker.', { cause });
}

async function* readDisk(path: string, start: number, end: number | undefined): AsyncGenerator<Buffer> {
  if (end !== undefined && end <= start) return;
  yield* createReadStream(path, { start, ...(end === undefined ? {} : { end: end - 1 }), highWaterMark: READ_BYTES }) as AsyncIterable<Buffer>;
}
