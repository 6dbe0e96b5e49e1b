// Which tokens satisfy which probe (SPEC §7): a bit a probe and token. Whole documents are looked at, whatever part of them
// is asked for, so that look-around and characters of several tokens come out the same however tokens were sharded.
import type { Condition, Probe } from '../schemas/probes.ts';
import type { Tokenizer } from './tokenizer.ts';

/** Bits of one token: probe p is bit p % 32 of word p / 32. */
export const bitsPerWord = 32;

type Marker = (document: MarkedDocument) => Uint8Array;

interface MarkedDocument {
  tokens: Int32Array;
  lang: string;
  text: string;
  /** Where each token begins in the text, in UTF-16 units, and where the last one ends; a character's later tokens begin where it does. */
  starts: Int32Array;
  ends: Int32Array;
}

/** The probes of a configuration, ready for a vocabulary. */
export class ProbeMarks {
  readonly words: number;
  private readonly markers: Marker[][];
  private readonly bytesOf: (token: number) => Uint8Array;
  private readonly eot: number;

  constructor(probes: readonly Probe[], tokenizer: Tokenizer) {
    const vocabulary = Array.from({ length: tokenizer.vocabSize }, (_, token) => tokenizer.tokenBytes(token));
    this.words = Math.ceil(probes.length / bitsPerWord);
    this.bytesOf = (token) => vocabulary[token]!;
    this.eot = tokenizer.eot;
    this.markers = probes.map(({ where }) => where.map((condition) => negated(condition, markerOf(condition, vocabulary))));
  }

  /** Bits of each token of a document, [tokens · words]. An end of text satisfies nothing. */
  mark(tokens: Int32Array, lang: string): Uint32Array {
    const document = this.open(tokens, lang);
    const bits = new Uint32Array(tokens.length * this.words);
    this.markers.forEach((conditions, probe) => {
      const marks = conditions.map((marker) => marker(document));
      tokens.forEach((token, index) => {
        if (token !== this.eot && marks.every((mark) => mark[index] === 1)) bits[index * this.words + Math.floor(probe / bitsPerWord)]! |= 1 << probe % bitsPerWord;
      });
    });
    return bits;
  }

  private open(tokens: Int32Array, lang: string): MarkedDocument {
    const ended = tokens.at(-1) === this.eot ? tokens.length - 1 : tokens.length;
    const pieces = Array.from(tokens.subarray(0, ended), (token) => this.bytesOf(token));
    const bytes = Buffer.concat(pieces);
    const [starts, ends] = [new Int32Array(tokens.length), new Int32Array(tokens.length)];
    // a UTF-16 unit begins at each byte that begins a character, and a second one at the first of four bytes
    let at = 0;
    let units = 0;
    pieces.forEach((piece, index) => {
      starts[index] = isContinuation(bytes[at]) ? Math.max(0, units - 1) : units;
      for (const byte of piece) units += isContinuation(byte) ? 0 : byte >= 0xf0 ? 2 : 1;
      at += piece.length;
      ends[index] = units;
    });
    starts.fill(units, ended);
    ends.fill(units, ended);
    return { tokens, lang, text: bytes.toString('utf8'), starts, ends };
  }
}

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80;
}

function negated({ not }: Condition, marker: Marker): Marker {
  return not ? (document) => marker(document).map((mark) => 1 - mark) : marker;
}

function markerOf(condition: Condition, vocabulary: Uint8Array[]): Marker {
  switch (condition.kind) {
    case 'script':
      return ofText(new RegExp(`[${condition.scripts.map((name) => `\\p{Script=${name}}`).join('')}]+`, 'gu'));
    case 'pattern':
      return ofText(new RegExp(condition.pattern, condition.ignoreCase ? 'giu' : 'gu'));
    case 'text':
      return ofText(new RegExp(condition.strings.map(literal).join('|'), 'gu'));
    case 'tokenPattern': {
      const pattern = new RegExp(condition.pattern, condition.ignoreCase ? 'iu' : 'u');
      return ofToken(vocabulary, (bytes) => pattern.test(Buffer.from(bytes).toString('utf8')));
    }
    case 'token': {
      const known = new Set(condition.strings.map((text) => Buffer.from(text, 'utf8').toString('latin1')));
      return ofToken(vocabulary, (bytes) => known.has(Buffer.from(bytes).toString('latin1')));
    }
    case 'language':
      return ({ tokens, lang }) => new Uint8Array(tokens.length).fill(condition.languages.includes(lang) ? 1 : 0);
  }
}

/** All tokens that a match touches. */
function ofText(pattern: RegExp): Marker {
  return ({ tokens, text, starts, ends }) => {
    const marks = new Uint8Array(tokens.length);
    let index = 0;
    for (const match of text.matchAll(pattern)) {
      const end = match.index + match[0].length;
      while (index < tokens.length && ends[index]! <= match.index) index++;
      for (let touched = index; touched < tokens.length && starts[touched]! < end; touched++) marks[touched] = 1;
    }
    return marks;
  };
}

function ofToken(vocabulary: Uint8Array[], holds: (bytes: Uint8Array) => boolean): Marker {
  const known = Uint8Array.from(vocabulary, (bytes) => (holds(bytes) ? 1 : 0));
  return ({ tokens }) => Uint8Array.from(tokens, (token) => known[token]!);
}

function literal(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}
