// GPT-2's byte-level BPE, token for token what OpenAI's tiktoken gives (test/oracle/tokenizer.json).
// WHY WASM: the pure-JavaScript ports split rare Unicode differently (JavaScript's \s holds U+FEFF and not
// U+0085, and \p{L} depends on the engine's Unicode version), so tiktoken's own code decides. Only text made of
// long-settled characters is split here, to look its pieces up in a cache: twice as fast, and the same tokens.
// A vocabulary cut to the N lowest merges is itself a valid BPE; the demo uses 8,192 tokens.

import { createRequire } from 'node:module';
import { Tiktoken } from 'tiktoken/lite';
import { UserError } from '../schemas/errors.ts';
import { mergeBytePairs } from './bytePairs.ts';

/** GPT-2's vocabulary, end of text included. */
export const GPT2_VOCAB_SIZE = 50_257;
/** 256 bytes and the end of text: no merges at all. */
export const SMALLEST_VOCAB_SIZE = 257;
export const END_OF_TEXT = '<|endoftext|>';

/** Text to token ids and back; ids are below `vocabSize`, and the last one is the end of text. */
export interface Tokenizer {
  readonly vocabSize: number;
  /** The id that ends a document: vocabSize − 1. */
  readonly eot: number;
  /** Ids of a text of any length. Special tokens written in the text are plain text; a lone surrogate counts as U+FFFD. */
  encode(text: string): Uint16Array;
  /** The text of ids; bytes that are no UTF-8 become U+FFFD. Throws RangeError on an id outside the vocabulary. */
  decode(tokens: Iterable<number>): string;
  /** The bytes of one token, which need not be whole characters. */
  tokenBytes(id: number): Uint8Array;
  /** One token for a person's eye: "\n" and other controls escaped, bytes of a part of a character as "\xE3". */
  tokenText(id: number): string;
}

/**
 * GPT-2's tokenizer, whole or cut to its `vocabSize − 257` first merges.
 *
 * @param vocabSize number of ids with the end of text, 257 to 50,257.
 * @throws UserError if vocabSize is out of range.
 * @example
 * const tokenizer = createTokenizer(8_192);
 * tokenizer.encode('Hello world'); // Uint16Array [ …, … ]
 */
export function createTokenizer(vocabSize: number): Tokenizer {
  if (!Number.isInteger(vocabSize) || vocabSize < SMALLEST_VOCAB_SIZE || vocabSize > GPT2_VOCAB_SIZE) {
    throw new UserError(
      `vocabSize ${vocabSize} is not a whole number from ${SMALLEST_VOCAB_SIZE} to ${GPT2_VOCAB_SIZE}`,
      `Use ${GPT2_VOCAB_SIZE} for GPT-2's vocabulary, or a smaller one such as 8192 for a small model.`,
    );
  }
  const { pattern, tokens } = gpt2Tokens();
  const eot = vocabSize - 1;
  const kept = tokens.slice(0, eot);
  const ranks = new Map(kept.map((bytes, id) => [bytes.toString('latin1'), id]));
  const bpe = new Tiktoken(`! 0 ${kept.map((bytes) => bytes.toString('base64')).join(' ')}`, { [END_OF_TEXT]: eot }, pattern);
  const bytesById: readonly Uint8Array[] = [...kept, Buffer.from(END_OF_TEXT)];

  const tokenBytes = (id: number): Uint8Array => {
    const bytes = bytesById[id];
    if (bytes === undefined) throw new RangeError(`token id ${id} is outside the vocabulary of ${vocabSize}`);
    return bytes;
  };
  const encodePiece = (piece: string): ArrayLike<number> =>
    piece.length > GIANT_PIECE_CHARS ? mergeBytePairs(Buffer.from(piece, 'utf8'), ranks) : bpe.encode_ordinary(piece);
  const cache = new PieceCache((piece) => Uint16Array.from(bpe.encode_ordinary(piece)));
  const ids = new IdBuffer();

  return {
    vocabSize,
    eot,
    encode(text) {
      const giants = piecesIfGiant(text);
      if (giants !== undefined) giants.forEach((piece) => ids.append(encodePiece(piece)));
      else for (const span of spans(text)) {
        if (span.settled) cache.encode(text, span.start, span.end, ids);
        else ids.append(bpe.encode_ordinary(text.slice(span.start, span.end)));
      }
      return ids.take();
    },
    decode(tokens) {
      return looseUtf8.decode(Buffer.concat(Array.from(tokens, tokenBytes)));
    },
    tokenBytes,
    tokenText(id) {
      return printable(tokenBytes(id));
    },
  };
}

/** Keeps a leading U+FEFF, which a plain TextDecoder would eat. */
const looseUtf8 = new TextDecoder('utf-8', { ignoreBOM: true });
const strictUtf8 = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true });

/** Longer than words of any language, and short enough for quadratic merging (1,000 letters take 4 ms). */
const GIANT_PIECE_CHARS = 1_000;
/** tiktoken's pattern with its white space spelled as Unicode's property, which `\s` is in Rust but not in JavaScript. */
const PIECE = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;
/** Characters whose class no Unicode version of the last 15 years changed; test/data/tokenizer.test.ts tries each. */
const UNSETTLED =
  /[^\0-\x7F\xA0-\u024F\u0386-\u038A\u038C\u038E-\u03A1\u03A3-\u03FF\u0400-\u0482\u048A-\u0527\u05D0-\u05EA\u2010-\u2027\u2030-\u205E\u20AC\u2122\u2190-\u21FF\u2500-\u25FF]/g;
/** The white space among the settled characters. */
const SETTLED_SPACE = /[\t-\r \xA0]/;

/**
 * The text in pieces if one of them is a giant, else undefined. Only such a text depends on the Unicode version
 * of this JavaScript engine: all others are split by tiktoken itself.
 */
function piecesIfGiant(text: string): string[] | undefined {
  if (!hasLongRun(text)) return undefined;
  const pieces = text.match(PIECE) ?? [];
  return pieces.some((piece) => piece.length > GIANT_PIECE_CHARS) ? pieces : undefined;
}

/** Whether a run of white space, or of anything else, is as long as a giant. */
function hasLongRun(text: string): boolean {
  let runStart = 0;
  let runIsWhite = false;
  for (let at = 0; at < text.length; at++) {
    const white = isWhiteSpace(text.charCodeAt(at));
    if (white !== runIsWhite) {
      runStart = at;
      runIsWhite = white;
    } else if (at - runStart >= GIANT_PIECE_CHARS - 1) return true;
  }
  return false;
}

/** Unicode's White_Space property. */
function isWhiteSpace(code: number): boolean {
  if (code <= 0x20) return code === 0x20 || (code >= 0x09 && code <= 0x0d);
  if (code < 0x1680) return code === 0x85 || code === 0xa0;
  if (code <= 0x200a) return code === 0x1680 || code >= 0x2000;
  return code === 0x2028 || code === 0x2029 || code === 0x202f || code === 0x205f || code === 0x3000;
}

interface Span {
  readonly start: number;
  readonly end: number;
  /** Whether all of it is settled characters, which this file may split by itself. */
  readonly settled: boolean;
}

/** Cuts a text where a piece always begins: before a space or line feed that follows a visible character. */
function* spans(text: string): Generator<Span> {
  for (let start = 0; start < text.length; ) {
    UNSETTLED.lastIndex = start;
    const odd = UNSETTLED.exec(text)?.index ?? text.length;
    const settledEnd = odd === text.length ? odd : cutBefore(text, start, odd);
    if (settledEnd > start) yield { start, end: settledEnd, settled: true };
    start = odd === text.length ? odd : cutAfter(text, odd);
    if (start > settledEnd) yield { start: settledEnd, end: start, settled: false };
  }
}

/** The last cut in the settled text from `start` to `end`, or `start`. */
function cutBefore(text: string, start: number, end: number): number {
  let cut = end - 1;
  while (cut > start && !(isSpace(text, cut) && !SETTLED_SPACE.test(text.charAt(cut - 1)))) cut--;
  return Math.max(cut, start);
}

/** The first cut after `start` that follows a visible ASCII character, or the end of the text. */
function cutAfter(text: string, start: number): number {
  let cut = start + 1;
  while (cut < text.length && !(isSpace(text, cut) && /[!-~]/.test(text.charAt(cut - 1)))) cut++;
  return cut;
}

function isSpace(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code === 0x20 || code === 0x0a;
}

/** Remembers the ids of short pieces: words recur. */
class PieceCache {
  private readonly known = new Map<string, Uint16Array>();

  constructor(private readonly encodePiece: (piece: string) => Uint16Array) {}

  /** Appends the ids of the settled text from `start` to `end`. */
  encode(text: string, start: number, end: number, into: IdBuffer): void {
    PIECE.lastIndex = start;
    while (PIECE.lastIndex < end) {
      const piece = (PIECE.exec(text) as RegExpExecArray)[0];
      into.append(this.known.get(piece) ?? this.learn(piece));
    }
  }

  private learn(piece: string): Uint16Array {
    const ids = this.encodePiece(piece);
    if (piece.length <= CACHED_PIECE_CHARS) {
      if (this.known.size >= CACHED_PIECES) this.known.clear();
      this.known.set(piece, ids);
    }
    return ids;
  }
}

const CACHED_PIECE_CHARS = 24;
/** About 30 MB. */
const CACHED_PIECES = 200_000;

/** Ids of one text as they come; the memory is kept for the next text. */
class IdBuffer {
  private ids = new Uint16Array(1 << 16);
  private length = 0;

  append(more: ArrayLike<number>): void {
    const end = this.length + more.length;
    if (end > this.ids.length) {
      const grown = new Uint16Array(2 * end);
      grown.set(this.ids.subarray(0, this.length));
      this.ids = grown;
    }
    for (let i = 0; i < more.length; i++) this.ids[this.length + i] = more[i] as number;
    this.length = end;
  }

  /** A copy of all ids appended; the buffer is empty again. */
  take(): Uint16Array {
    const taken = this.ids.slice(0, this.length);
    this.length = 0;
    return taken;
  }
}

/** Whole characters as they are, controls and the bytes of broken characters as escapes. */
function printable(bytes: Uint8Array): string {
  try {
    return strictUtf8.decode(bytes).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, escapeCharacter);
  } catch {
    return printableParts(bytes);
  }
}

function printableParts(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const length = characterLength(bytes, at);
    if (length === 0) text += `\\x${(bytes[at] as number).toString(16).toUpperCase().padStart(2, '0')}`;
    else text += printable(bytes.subarray(at, at + length));
    at += Math.max(length, 1);
  }
  return text;
}

/** Bytes of the whole UTF-8 character at an offset, 0 if there is none. */
function characterLength(bytes: Uint8Array, at: number): number {
  for (let length = 1; length <= 4 && at + length <= bytes.length; length++) {
    try {
      strictUtf8.decode(bytes.subarray(at, at + length));
      return length;
    } catch {
      continue;
    }
  }
  return 0;
}

const namedEscapes: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

function escapeCharacter(character: string): string {
  const code = character.codePointAt(0) as number;
  return namedEscapes[character] ?? (code < 0x100 ? `\\x${hex(code, 2)}` : `\\u{${hex(code, 4)}}`);
}

function hex(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, '0');
}

interface Gpt2Tokens {
  readonly pattern: string;
  /** The bytes of each token, by rank. */
  readonly tokens: readonly Buffer[];
}

let gpt2: Gpt2Tokens | undefined;

/** Read on first use and kept: half a megabyte of base64, "! firstRank token token …". */
function gpt2Tokens(): Gpt2Tokens {
  if (gpt2 !== undefined) return gpt2;
  const encoder = createRequire(import.meta.url)('tiktoken/encoders/r50k_base.json') as { pat_str: string; bpe_ranks: string };
  const tokens: Buffer[] = [];
  for (const line of encoder.bpe_ranks.split('\n')) {
    const [, firstRank, ...encoded] = line.split(' ');
    encoded.forEach((base64, offset) => (tokens[Number(firstRank) + offset] = Buffer.from(base64, 'base64')));
  }
  gpt2 = { pattern: encoder.pat_str, tokens };
  return gpt2;
}
