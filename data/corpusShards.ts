// How a corpus is cut into shards: ranges of bytes where a file can be read from the middle (plain JSON lines),
// whole files elsewhere, small files together. A plan holds no text, so it travels through Temporal and a
// retried shard reads exactly what it read before.

import { z } from 'zod';
import { UserError } from '../schemas/errors.ts';
import type { CorpusFile } from './corpusFiles.ts';
import { expectedContent } from './corpusSource.ts';

const size = z.int().nonnegative();

export const corpusShardPart = z.strictObject({
  /** Index of the file in the list the plan was made from. */
  fileIndex: size,
  /** Provenance name, and absolute path or address of the file. */
  name: z.string(),
  path: z.string(),
  /** What must be there. */
  expected: expectedContent.optional(),
  /** Lines that start at or after this offset … */
  byteStart: size,
  /** … and before this one belong to the part; null is the whole file. */
  byteEnd: size.nullable(),
  /** A place before byteStart (or 0) up to which the lines are counted, so that line numbers need no reading from the top. */
  lineMark: z.strictObject({ byte: size, lines: size }),
});
export type CorpusShardPart = z.infer<typeof corpusShardPart>;

export const corpusShard = z.strictObject({
  index: size,
  /** Bytes on disk. */
  bytes: size,
  parts: z.array(corpusShardPart).min(1),
});
/** What one tokenize activity reads. */
export type CorpusShard = z.infer<typeof corpusShard>;

/**
 * Cuts files into shards of about `shardBytes` (bytes on disk; a compressed or Parquet file is never cut).
 * Pure: the same files and size give the same plan. Every document is in exactly one shard.
 *
 * @throws UserError if shardBytes is not a positive whole number.
 */
export function planCorpusShards(files: readonly CorpusFile[], shardBytes: number): CorpusShard[] {
  if (!Number.isSafeInteger(shardBytes) || shardBytes <= 0) {
    throw new UserError(`shardBytes ${shardBytes} is not a positive whole number`, 'Use a number of bytes such as 67108864 (64 MiB).');
  }
  const shards: CorpusShard[] = [];
  let pack: CorpusShardPart[] = [];
  let packBytes = 0;
  const close = () => {
    if (pack.length > 0) shards.push({ index: shards.length, bytes: packBytes, parts: pack });
    pack = [];
    packBytes = 0;
  };
  files.forEach((file, fileIndex) => {
    for (const { byteStart, byteEnd, bytes } of ranges(file, shardBytes)) {
      if (packBytes + bytes > shardBytes) close();
      pack.push({ fileIndex, name: file.name, path: file.path, expected: expectedOf(file), byteStart, byteEnd, lineMark: lineMarkBefore(file, byteStart) });
      packBytes += bytes;
    }
  });
  close();
  return shards;
}

function expectedOf({ bytes, sha256, tag }: CorpusFile): CorpusShardPart['expected'] {
  return { bytes, sha256, tag: tag ?? null };
}

interface Range {
  readonly byteStart: number;
  readonly byteEnd: number | null;
  readonly bytes: number;
}

/** Equal ranges of a plain JSON-lines file above shardBytes; one range of any other file. */
function ranges(file: CorpusFile, shardBytes: number): Range[] {
  const isDivisible = file.format === 'jsonl' && file.compression === 'none';
  const count = isDivisible ? Math.ceil(file.bytes / shardBytes) : 1;
  if (count <= 1) return [{ byteStart: 0, byteEnd: null, bytes: file.bytes }];
  const cut = (index: number) => Math.floor((file.bytes / count) * index);
  return Array.from({ length: count }, (_, index) => {
    const byteStart = cut(index);
    const byteEnd = index === count - 1 ? file.bytes : cut(index + 1);
    return { byteStart, byteEnd, bytes: byteEnd - byteStart };
  });
}

/** The last mark before the byte before byteStart: reading begins there, to see whether it is a line feed. */
function lineMarkBefore(file: CorpusFile, byteStart: number): CorpusShardPart['lineMark'] {
  const marks = Math.min(Math.floor(Math.max(byteStart - 1, 0) / file.lineMarkBytes), file.lineMarks.length);
  return { byte: marks * file.lineMarkBytes, lines: marks === 0 ? 0 : (file.lineMarks[marks - 1] as number) };
}
