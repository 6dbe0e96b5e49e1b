// Bytes of a corpus file as lines: decompression, ranges and line numbers, streamed.
// A line belongs to the range in which it starts; so ranges that cover a file give each of its lines exactly once.

import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { Decompress } from 'fzstd';
import { UserError } from '../schemas/errors.ts';
import { corpusFileKind } from './corpusFiles.ts';
import { countLineFeeds } from './corpusScan.ts';
import type { CorpusShardPart } from './corpusShards.ts';
import { readSource, unreadable, type CorpusSource } from './corpusSource.ts';
import { defaultPatience, type Patience } from './patience.ts';

/** A document must fit a JavaScript string (512 Mi characters) with room to spare. */
export const MAX_DOCUMENT_BYTES = 256 * 2 ** 20;
const READ_BYTES = 2 ** 18;

export interface Line {
  /** Without its line feed. */
  readonly bytes: Uint8Array;
  /** 1-based, in the file. */
  readonly number: number;
  /** Of its first byte, in the (decompressed) file. */
  readonly offset: number;
}

/**
 * The lines that start in a part's range, in batches as they are read.
 *
 * @throws UserError if the file can't be read or decompressed, or a line is longer than MAX_DOCUMENT_BYTES.
 */
export async function* readLines(part: CorpusShardPart, patience: Patience = defaultPatience): AsyncGenerator<Line[]> {
  const { byteStart, byteEnd, name } = part;
  // A line starts at byteStart only if the byte before it is a line feed; what comes before the first one is another range's.
  let skipping = byteStart > 0;
  let offset = skipping ? byteStart - 1 : 0;
  let number = 1 + (await lineFeedsBefore(part, offset, patience));
  const carry = new Carry(name);
  for await (const chunk of readBytes(part, offset, patience)) {
    const lines: Line[] = [];
    let from = 0;
    for (let feed = chunk.indexOf(0x0a); feed >= 0; feed = chunk.indexOf(0x0a, from)) {
      const bytes = carry.complete(chunk.subarray(from, feed));
      if (!skipping && byteEnd !== null && offset >= byteEnd) {
        yield lines;
        return;
      }
      if (!skipping) lines.push({ bytes, number, offset });
      skipping = false;
      offset += bytes.length + 1;
      number++;
      from = feed + 1;
    }
    carry.add(chunk.subarray(from));
    yield lines;
  }
  const rest = carry.complete(new Uint8Array(0));
  const isOurs = !skipping && (byteEnd === null || offset < byteEnd);
  if (isOurs && rest.length > 0) yield [{ bytes: rest, number, offset }];
}

/**
 * A file's bytes from an offset (0 if it is compressed), decompressed.
 *
 * @throws UserError if it can't be read or decompressed.
 */
export async function* readBytes(source: CorpusSource, byteStart = 0, patience: Patience = defaultPatience): AsyncGenerator<Buffer> {
  const { compression } = corpusFileKind(source.path);
  const file = readSource(source, byteStart, undefined, patience);
  try {
    if (compression === 'none') yield* file;
    else yield* compression === 'zst' ? unzstd(file) : gunzip(file);
  } catch (cause) {
    throw unreadable(source.path, cause);
  } finally {
    await file.return(undefined);
  }
}

/**
 * A file's bytes at once, decompressed.
 *
 * @throws UserError if it can't be read or decompressed, or holds more than MAX_DOCUMENT_BYTES.
 */
export async function readWhole(part: CorpusShardPart, patience: Patience): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of readBytes(part, 0, patience)) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > MAX_DOCUMENT_BYTES) throw documentTooLong(part.name);
  }
  return Buffer.concat(chunks, length);
}

async function* gunzip(file: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const packed = Readable.from(file, { objectMode: false });
  const unpacked = createGunzip({ chunkSize: READ_BYTES });
  packed.on('error', (error) => unpacked.destroy(error));
  try {
    yield* packed.pipe(unpacked) as AsyncIterable<Buffer>;
  } finally {
    packed.destroy();
  }
}

async function* unzstd(file: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let out: Buffer[] = [];
  const decompress = new Decompress((bytes) => {
    out.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  });
  for await (const chunk of file) {
    decompress.push(chunk);
    yield* out;
    out = [];
  }
  decompress.push(new Uint8Array(0), true);
  yield* out;
}

async function lineFeedsBefore({ lineMark, ...source }: CorpusShardPart, byteEnd: number, patience: Patience): Promise<number> {
  if (byteEnd <= lineMark.byte) return lineMark.lines;
  let lines = lineMark.lines;
  try {
    for await (const chunk of readSource(source, lineMark.byte, byteEnd, patience)) lines += countLineFeeds(chunk);
  } catch (cause) {
    throw unreadable(source.path, cause);
  }
  return lines;
}

/** The beginning of a line whose end has not been read yet. */
class Carry {
  private chunks: Uint8Array[] = [];
  private length = 0;

  constructor(private readonly name: string) {}

  add(chunk: Uint8Array): void {
    this.length += chunk.length;
    if (this.length > MAX_DOCUMENT_BYTES) throw documentTooLong(this.name);
    if (chunk.length > 0) this.chunks.push(chunk);
  }

  complete(end: Uint8Array): Uint8Array {
    if (this.chunks.length === 0) return end;
    const line = Buffer.concat([...this.chunks, end]);
    this.chunks = [];
    this.length = 0;
    return line;
  }
}

/** What to tell of a line or text file that is too long for a document. */
function documentTooLong(name: string): UserError {
  return new UserError(`${name}: a document of more than ${MAX_DOCUMENT_BYTES / 2 ** 20} MiB`, 'Split it into documents, one a line of a .jsonl file: {"text": …}.');
}
