// A byte-level BPE tokenizer put together from its tables: split, look the piece up, else merge its bytes. Free of Node,
// so that a page may tokenize what its reader types.
import { ABSENT, type ByteMap } from './byteMap.ts';
import type { BytePairMerger } from './bytePairs.ts';
import { gpt2PieceEnd } from './gpt2Split.ts';
import { CACHED_PIECE_BYTES, PieceCache } from './pieceCache.ts';
import { tokenText } from './tokenText.ts';

/** Text to token ids and back. */
export interface Tokenizer {
  /** Ids are below it; above 65,536 they take 4 bytes. */
  readonly vocabSize: number;
  /** The id that ends a document. */
  readonly eot: number;
  /** Ids of a text of any length. Special tokens written in the text are plain text; a lone surrogate counts as U+FFFD. */
  encode(text: string): Uint16Array | Uint32Array;
  /** The text of ids; bytes that are no UTF-8 become U+FFFD. Throws RangeError on an id outside the vocabulary. */
  decode(tokens: Iterable<number>): string;
  /** The bytes of one token, which need not be whole characters; none for an id that the vocabulary leaves out. */
  tokenBytes(id: number): Uint8Array;
  /** One token for a person's eye: "\n" and other controls escaped, bytes of a part of a character as "\xE3". */
  tokenText(id: number): string;
}

/** What never changes: shared by tokenizers of the same vocabulary. */
export interface TokenizerTables {
  /** The bytes of each id. */
  readonly tokens: readonly Uint8Array[];
  readonly eot: number;
  readonly merger: BytePairMerger;
  /** Pieces that are a token as they are, whatever merging would make of them. */
  readonly wholes?: ByteMap;
  /** Whether GPT-2's pattern splits the texts. */
  readonly gpt2Split: boolean;
  /** Cuts a text before it is split: texts, and the ids of tokens that text may name. Absent: one text. */
  readonly cut?: (text: string) => Iterable<string | number>;
}

/** Keeps a leading U+FEFF, which a plain TextDecoder would eat. */
const looseUtf8 = new TextDecoder('utf-8', { ignoreBOM: true });
const utf8Encoder = new TextEncoder();
const SMALLEST_BUFFER = 2 ** 16;

/** Not for two texts at once: its buffers and its cache are its own. */
export class ByteLevelTokenizer implements Tokenizer {
  readonly vocabSize: number;
  readonly eot: number;
  private readonly cache = new PieceCache();
  private utf8 = new Uint8Array(SMALLEST_BUFFER);
  private ids = new Uint32Array(SMALLEST_BUFFER);
  private length = 0;

  constructor(private readonly tables: TokenizerTables) {
    this.vocabSize = tables.tokens.length;
    this.eot = tables.eot;
  }

  encode(text: string): Uint16Array | Uint32Array {
    this.length = 0;
    const { cut } = this.tables;
    if (cut === undefined) this.append(text);
    else for (const part of cut(text)) {
      if (typeof part === 'string') this.append(part);
      else this.appendId(part);
    }
    const ids = this.ids.subarray(0, this.length);
    return this.vocabSize <= 2 ** 16 ? new Uint16Array(ids) : ids.slice();
  }

  decode(tokens: Iterable<number>): string {
    const parts = Array.from(tokens, (id) => this.tokenBytes(id));
    const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.length;
    }
    return looseUtf8.decode(bytes);
  }

  tokenBytes(id: number): Uint8Array {
    const bytes = this.tables.tokens[id];
    if (bytes === undefined) throw new RangeError(`token id ${id} is outside the vocabulary of ${this.vocabSize}`);
    return bytes;
  }

  tokenText(id: number): string {
    return tokenText(this.tokenBytes(id));
  }

  private append(text: string): void {
    const end = this.toUtf8(text);
    // A token is at least one byte.
    this.reserve(end);
    if (!this.tables.gpt2Split) return this.appendPiece(0, end);
    for (let start = 0; start < end; ) {
      const pieceEnd = gpt2PieceEnd(this.utf8, start, end);
      this.appendPiece(start, pieceEnd);
      start = pieceEnd;
    }
  }

  private appendPiece(start: number, end: number): void {
    const { utf8, ids, length, cache } = this;
    if (end - start > CACHED_PIECE_BYTES) {
      this.length = this.encodePiece(start, end);
      return;
    }
    this.length = cache.recall(utf8, start, end, ids, length);
    if (this.length > length || start === end) return;
    this.length = this.encodePiece(start, end);
    cache.learn(utf8, start, end, ids, length, this.length);
  }

  /** Writes the ids of a piece after the others; returns where they end. */
  private encodePiece(start: number, end: number): number {
    const whole = this.tables.wholes?.get(this.utf8, start, end) ?? ABSENT;
    if (whole === ABSENT) return this.tables.merger.merge(this.utf8, start, end, this.ids, this.length);
    this.ids[this.length] = whole;
    return this.length + 1;
  }

  private appendId(id: number): void {
    this.reserve(1);
    this.ids[this.length++] = id;
  }

  /** Fills the buffer; returns the bytes. */
  private toUtf8(text: string): number {
    if (this.utf8.length < text.length) this.utf8 = new Uint8Array(text.length + (text.length >> 1));
    const { read, written } = utf8Encoder.encodeInto(text, this.utf8);
    if (read === text.length) return written;
    this.utf8 = new Uint8Array(3 * text.length);
    return utf8Encoder.encodeInto(text, this.utf8).written;
  }

  private reserve(more: number): void {
    if (this.length + more <= this.ids.length) return;
    const grown = new Uint32Array(Math.max(this.length + more, 2 * this.ids.length));
    grown.set(this.ids.subarray(0, this.length));
    this.ids = grown;
  }
}
