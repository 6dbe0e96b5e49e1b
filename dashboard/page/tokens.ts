// From token ids to what a reader can see. A byte-level BPE token is bytes, not characters: one Japanese character may
// span three tokens, so consecutive tokens are grouped until their bytes are whole characters, and shown as one.
import type { Vocabulary } from '../../schemas/dashboard.ts';
import { decodeUtf8 } from './utf8.ts';

export interface TokenGroup {
  /** Positions [start, end) in the token list. */
  start: number;
  end: number;
  text: string;
  kind: 'text' | 'end-of-text';
}

/** A stretch of a text that is shown as it is, or a mark that stands for something invisible. */
export interface Piece {
  text: string;
  mark: boolean;
}

/**
 * Groups consecutive tokens into whole characters. A character that never completes is shown as hex bytes; end of text
 * and ids outside the vocabulary stand alone.
 *
 * @example
 * groupTokens([3, 4], { eot: 9, tokens: [..., ' \xe3\x81', '\x93'] }) // one group, ' こ'
 */
export function groupTokens(ids: readonly number[], vocabulary: Vocabulary): TokenGroup[] {
  const groups: TokenGroup[] = [];
  let bytes: number[] = [];
  let start = 0;
  const flush = (end: number): void => {
    if (end > start) groups.push({ start, end, text: decodeUtf8(bytes).text, kind: 'text' });
    bytes = [];
    start = end;
  };
  ids.forEach((id, position) => {
    const token = tokenBytes(id, vocabulary);
    if (id === vocabulary.eot || token === undefined) {
      flush(position);
      groups.push({ start: position, end: position + 1, text: tokenLabel(id, vocabulary), kind: id === vocabulary.eot ? 'end-of-text' : 'text' });
      start = position + 1;
      return;
    }
    if (bytes.length > 0 && !continues(bytes, token)) flush(position);
    bytes.push(...token);
    if (decodeUtf8(bytes).pendingBytes === 0) flush(position + 1);
  });
  flush(ids.length);
  return groups;
}

/** Characters shown of one token: a vocabulary may hold tokens of thousands. */
const longestToken = 300;

/** What one token alone reads as: bytes of unfinished characters as hex, an unknown id as ‹#id›. */
export function tokenLabel(id: number, vocabulary: Vocabulary): string {
  const bytes = tokenBytes(id, vocabulary);
  return bytes === undefined ? `‹#${id}›` : decodeUtf8(bytes).text;
}

/**
 * Splits a text at characters that cannot be seen or would disturb the layout, and puts a mark in their place: ↵ for a
 * newline, ⇥ for a tab, ‹U+202E› for controls and direction overrides, and · for a space if `spaces` is set. Of a token
 * longer than any page, the beginning.
 */
export function visiblePieces(text: string, spaces = false): Piece[] {
  const pieces: Piece[] = [];
  const characters = [...text];
  for (const character of characters.slice(0, longestToken)) {
    const mark = spaces && character === ' ' ? '·' : invisibleMark(character);
    const last = pieces.at(-1);
    if (last !== undefined && last.mark === (mark !== undefined)) last.text += mark ?? character;
    else pieces.push({ text: mark ?? character, mark: mark !== undefined });
  }
  const left = characters.length - longestToken;
  if (left > 0) pieces.push({ text: `‹${left.toLocaleString('en-US')} more characters›`, mark: true });
  return pieces;
}

/** A text of unknown origin, such as a label, with marks as {@link visiblePieces} has them. */
export function visibleText(text: string): string {
  return visiblePieces(text).map((piece) => piece.text).join('');
}

function tokenBytes(id: number, vocabulary: Vocabulary): number[] | undefined {
  const token = vocabulary.tokens[id];
  return token === undefined ? undefined : Array.from(token, (character) => character.charCodeAt(0));
}

/** Whether the next token's first byte carries on the character that `bytes` leaves open. */
function continues(bytes: readonly number[], next: readonly number[]): boolean {
  const first = next[0];
  if (first === undefined) return true;
  const { pendingBytes } = decodeUtf8(bytes);
  const joined = decodeUtf8([...bytes.slice(bytes.length - pendingBytes), first]);
  return joined.pendingBytes > pendingBytes || (joined.pendingBytes === 0 && [...joined.text].length === 1);
}

function invisibleMark(character: string): string | undefined {
  if (character === '\n') return '↵';
  if (character === '\t') return '⇥';
  if (character === '\r') return '‹CR›';
  // Joiners (U+200C, U+200D) stay: Persian and emoji need them. Direction controls and the like become visible.
  if (/[\p{Cc}\u00ad\u200b\u200e\u200f\u202a-\u202e\u2028\u2029\u2060-\u2069\ufeff]/u.test(character)) {
    return `‹U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}›`;
  }
  return undefined;
}
