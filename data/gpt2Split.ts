// Where GPT-2's split pattern ends a piece, in UTF-8:
//     's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
// By hand, because a regular expression needs a string for every piece, and takes longer than all the rest.
import { splitClasses, WHITE } from './characterClasses.ts';

const classes = splitClasses();
const SPACE = 0x20;
const APOSTROPHE = 0x27;

/**
 * The end of the piece that begins at `start`.
 *
 * @param bytes whole characters of UTF-8 up to `end`; `start` is before `end`.
 */
export function gpt2PieceEnd(bytes: Uint8Array, start: number, end: number): number {
  const first = bytes[start]!;
  if (first === APOSTROPHE) {
    const contraction = contractionEnd(bytes, start, end);
    if (contraction > start) return contraction;
  }
  const run = first === SPACE && start + 1 < end ? start + 1 : start;
  const kind = classes[codePointAt(bytes, run)]!;
  return kind === WHITE ? whiteEnd(bytes, start, end) : runEnd(bytes, run, end, kind);
}

/** The end of 's, 't, 'm, 'd, 're, 've or 'll; `start` if there is none. */
function contractionEnd(bytes: Uint8Array, start: number, end: number): number {
  if (start + 1 >= end) return start;
  switch (bytes[start + 1]) {
    case 0x73: // s
    case 0x74: // t
    case 0x6d: // m
    case 0x64: // d
      return start + 2;
    case 0x72: // r
    case 0x76: // v
      return start + 2 < end && bytes[start + 2] === 0x65 ? start + 3 : start;
    case 0x6c: // l
      return start + 2 < end && bytes[start + 2] === 0x6c ? start + 3 : start;
    default:
      return start;
  }
}

/** The end of the characters of one class. */
function runEnd(bytes: Uint8Array, start: number, end: number, kind: number): number {
  let at = start;
  while (at < end) {
    const lead = bytes[at]!;
    if (lead < 0x80) {
      if (classes[lead] !== kind) return at;
      at++;
    } else {
      if (classes[codePointAt(bytes, at)] !== kind) return at;
      at += characterBytes(lead);
    }
  }
  return at;
}

/** White space leaves its last character to what follows it, unless it is the only one or nothing follows. */
function whiteEnd(bytes: Uint8Array, start: number, end: number): number {
  let last = start;
  let at = start;
  while (at < end && classes[codePointAt(bytes, at)] === WHITE) {
    last = at;
    at += characterBytes(bytes[at]!);
  }
  return at === end || last === start ? at : last;
}

function characterBytes(lead: number): number {
  if (lead < 0x80) return 1;
  if (lead < 0xe0) return 2;
  return lead < 0xf0 ? 3 : 4;
}

function codePointAt(bytes: Uint8Array, at: number): number {
  const lead = bytes[at]!;
  if (lead < 0x80) return lead;
  const second = bytes[at + 1]! & 0x3f;
  if (lead < 0xe0) return ((lead & 0x1f) << 6) | second;
  const third = bytes[at + 2]! & 0x3f;
  if (lead < 0xf0) return ((lead & 0x0f) << 12) | (second << 6) | third;
  return ((lead & 0x07) << 18) | (second << 12) | (third << 6) | (bytes[at + 3]! & 0x3f);
}
