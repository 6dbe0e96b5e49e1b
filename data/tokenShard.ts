// A token shard: the tokens of some documents in two flat files that nanoGPT can read as they are (train, held out),
// and a Parquet index that leads from a token back to its document, file and line.
// The split is by document id, so it stays the same however the corpus is cut into shards.

import { createHash } from 'node:crypto';
import { parquetReadObjects } from 'hyparquet';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { z } from 'zod';
import { UserError } from '../schemas/errors.ts';
import type { Document } from './documents.ts';
import type { Tokenizer } from './tokenizer.ts';

export type TokenArray = Uint16Array | Uint32Array;

const documentRow = z.object({
  id: z.string(),
  split: z.enum(['train', 'heldOut']),
  /** First token's index in the bin of this row's split, in this shard. */
  start: z.int().nonnegative(),
  /** Tokens, the end of text included. */
  length: z.int().positive(),
  lang: z.string(),
  source: z.string(),
  /** Corpus file and line (1-based; a Parquet file's row) the document was read from. */
  file: z.string(),
  line: z.int().positive(),
});
/** One document of a shard. */
export type DocumentRow = z.infer<typeof documentRow>;
export type Split = DocumentRow['split'];

export interface TokenShardOptions {
  /** Share of documents held out, 0 to 1. */
  readonly heldOutFraction: number;
  readonly splitSeed: number;
}

export interface TokenShardCounts {
  documents: number;
  trainDocuments: number;
  heldOutDocuments: number;
  /** Ends of text included. */
  trainTokens: number;
  heldOutTokens: number;
  /** UTF-8 bytes of the texts. */
  textBytes: number;
  byLang: Record<string, { documents: number; tokens: number; textBytes: number }>;
}

/** Three files' bytes and what they hold. */
export interface TokenShard {
  /** Token ids, little-endian, 2 bytes each (4 if the vocabulary is above 65,536), no header. */
  readonly train: Uint8Array;
  readonly heldOut: Uint8Array;
  /** Parquet, one DocumentRow a row, in reading order. */
  readonly documents: Uint8Array;
  readonly counts: TokenShardCounts;
}

/**
 * Tokenizes documents, an end of text after each. Memory: the shard's tokens and rows.
 *
 * @example
 * const shard = await encodeTokenShard(readDocuments(corpusShard, options), createTokenizer(50_257), { heldOutFraction: 0.0005, splitSeed: 2357 });
 */
export async function encodeTokenShard(documents: AsyncIterable<Document>, tokenizer: Tokenizer, options: TokenShardOptions): Promise<TokenShard> {
  const bins = { train: new TokenBin(tokenizer.vocabSize), heldOut: new TokenBin(tokenizer.vocabSize) };
  const rows: DocumentRow[] = [];
  const counts: TokenShardCounts = { documents: 0, trainDocuments: 0, heldOutDocuments: 0, trainTokens: 0, heldOutTokens: 0, textBytes: 0, byLang: {} };
  for await (const document of documents) {
    const split = splitOf(document.id, options);
    const bin = bins[split];
    const start = bin.length;
    bin.append(tokenizer.encode(document.text));
    bin.append([tokenizer.eot]);
    const { id, lang, source, file, line } = document;
    const row: DocumentRow = { id, split, start, length: bin.length - start, lang, source, file, line };
    rows.push(row);
    count(counts, row, Buffer.byteLength(document.text));
  }
  return { train: bins.train.bytes(), heldOut: bins.heldOut.bytes(), documents: encodeDocumentIndex(rows), counts };
}

/**
 * Which side of the split a document is on: a hash of the seed and its id as a number in [0, 1), below the fraction or not.
 */
export function splitOf(id: string, { heldOutFraction, splitSeed }: TokenShardOptions): Split {
  const hash = createHash('sha256').update(`${splitSeed}:${id}`).digest();
  return hash.readUIntBE(0, 6) / 2 ** 48 < heldOutFraction ? 'heldOut' : 'train';
}

/**
 * The rows of a shard's document index.
 *
 * @throws UserError if the bytes are no such index.
 */
export async function readDocumentIndex(bytes: Uint8Array): Promise<DocumentRow[]> {
  const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
  try {
    return z.array(documentRow).parse(await parquetReadObjects({ file }));
  } catch (cause) {
    const what = cause instanceof z.ZodError ? (cause.issues[0]?.path.join('.') ?? '') : String(cause);
    throw new UserError(`not a document index of ${bytes.byteLength} bytes: ${what}`, DAMAGED, { cause });
  }
}

/**
 * The ids of a token file, checked.
 *
 * @param bytes a .bin as encodeTokenShard wrote it.
 * @param vocabSize number of ids; above 65,536 an id has 4 bytes, else 2.
 * @returns a copy, aligned.
 * @throws UserError if the length is no whole number of ids, or an id is outside the vocabulary.
 */
export function decodeTokens(bytes: Uint8Array, vocabSize: number): TokenArray {
  const idBytes = bytesPerToken(vocabSize);
  if (bytes.byteLength % idBytes !== 0) {
    throw new UserError(`token file of ${bytes.byteLength} bytes is no whole number of ${idBytes}-byte ids`, DAMAGED);
  }
  const aligned = bytes.slice().buffer;
  const tokens = idBytes === 2 ? new Uint16Array(aligned) : new Uint32Array(aligned);
  const stray = tokens.findIndex((id) => id >= vocabSize);
  if (stray >= 0) {
    throw new UserError(`token ${stray} of the file is id ${tokens[stray]}, outside the vocabulary of ${vocabSize}`, DAMAGED);
  }
  return tokens;
}

const DAMAGED = 'The shard is damaged or was written with another vocabulary: run `saeflow verify` on its artifact, delete it and run again.';

function bytesPerToken(vocabSize: number): 2 | 4 {
  return vocabSize > 65_536 ? 4 : 2;
}

/** An INT32 column holds the offsets. */
const MAX_BIN_TOKENS = 2 ** 31 - 1;

/** Grows by doubling; every machine Node 20 runs saeflow on is little-endian, so the array's bytes are the file's. */
class TokenBin {
  length = 0;
  private tokens: TokenArray;

  constructor(vocabSize: number) {
    this.tokens = bytesPerToken(vocabSize) === 2 ? new Uint16Array(1 << 16) : new Uint32Array(1 << 16);
  }

  append(ids: ArrayLike<number>): void {
    const end = this.length + ids.length;
    if (end > MAX_BIN_TOKENS) {
      throw new UserError(`a shard of more than ${MAX_BIN_TOKENS} tokens`, 'Lower tokenize.shardBytes, or split the corpus into more files.');
    }
    if (end > this.tokens.length) {
      const Grown = this.tokens instanceof Uint16Array ? Uint16Array : Uint32Array;
      const grown = new Grown(Math.max(end, 2 * this.tokens.length));
      grown.set(this.tokens.subarray(0, this.length));
      this.tokens = grown;
    }
    this.tokens.set(ids, this.length);
    this.length = end;
  }

  bytes(): Uint8Array {
    return new Uint8Array(this.tokens.buffer, 0, this.length * this.tokens.BYTES_PER_ELEMENT);
  }
}

function count(counts: TokenShardCounts, row: DocumentRow, textBytes: number): void {
  counts.documents++;
  counts[`${row.split}Documents`]++;
  counts[`${row.split}Tokens`] += row.length;
  counts.textBytes += textBytes;
  const lang = (counts.byLang[row.lang] ??= { documents: 0, tokens: 0, textBytes: 0 });
  lang.documents++;
  lang.tokens += row.length;
  lang.textBytes += textBytes;
}

function encodeDocumentIndex(rows: readonly DocumentRow[]): Uint8Array {
  const text = (name: keyof DocumentRow) => ({ name, data: rows.map((row) => row[name]), type: 'STRING' as const, nullable: false });
  const number = (name: keyof DocumentRow) => ({ name, data: Int32Array.from(rows, (row) => row[name] as number), type: 'INT32' as const, nullable: false });
  const columnData = [text('id'), text('split'), number('start'), number('length'), text('lang'), text('source'), text('file'), number('line')];
  return new Uint8Array(parquetWriteBuffer({ columnData, rowGroupSize: 100_000 }));
}
