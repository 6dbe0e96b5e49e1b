// A UTF-8 reader that says where bytes are incomplete and where they are wrong. TextDecoder hides both behind U+FFFD,
// but the page must know whether a token ends in the middle of a character, and must show wrong bytes as what they are.

export interface Decoded {
  /** Valid characters as they are, each byte that belongs to none as ‹E3›. */
  text: string;
  /** Bytes at the end that begin a character which is not finished; they are in `text` as hex. */
  pendingBytes: number;
}

/**
 * Decodes bytes as UTF-8 (no overlong forms, no surrogates).
 *
 * @example
 * decodeUtf8([0x61, 0xe3, 0x81]) // { text: 'a‹E3›‹81›', pendingBytes: 2 }
 */
export function decodeUtf8(bytes: readonly number[]): Decoded {
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const { length, complete } = sequenceAt(bytes, at);
    if (complete) {
      text += String.fromCodePoint(codePointAt(bytes, at, length));
      at += length;
    } else if (length > 0) {
      return { text: text + bytes.slice(at).map(hexByte).join(''), pendingBytes: length };
    } else {
      text += hexByte(bytes[at] ?? 0);
      at += 1;
    }
  }
  return { text, pendingBytes: 0 };
}

/** A byte as the page shows it where no character can be: ‹E3›. */
export function hexByte(byte: number): string {
  return `‹${byte.toString(16).toUpperCase().padStart(2, '0')}›`;
}

/** The sequence that starts at `at`: its length if complete, the bytes present if cut off by the end, else length 0. */
function sequenceAt(bytes: readonly number[], at: number): { length: number; complete: boolean } {
  const lead = bytes[at] ?? 0;
  if (lead < 0x80) return { length: 1, complete: true };
  const length = lead >= 0xc2 && lead <= 0xdf ? 2 : lead >= 0xe0 && lead <= 0xef ? 3 : lead >= 0xf0 && lead <= 0xf4 ? 4 : 0;
  if (length === 0) return { length: 0, complete: false };
  for (let offset = 1; offset < length; offset++) {
    const byte = bytes[at + offset];
    if (byte === undefined) return { length: offset, complete: false };
    const [low, high] = offset === 1 ? secondByteRange(lead) : [0x80, 0xbf];
    if (byte < low || byte > high) return { length: 0, complete: false };
  }
  return { length, complete: true };
}

/** The Unicode standard's table 3-7: narrower second bytes exclude overlong forms, surrogates and > U+10FFFF. */
function secondByteRange(lead: number): [number, number] {
  if (lead === 0xe0) return [0xa0, 0xbf];
  if (lead === 0xed) return [0x80, 0x9f];
  if (lead === 0xf0) return [0x90, 0xbf];
  if (lead === 0xf4) return [0x80, 0x8f];
  return [0x80, 0xbf];
}

function codePointAt(bytes: readonly number[], at: number, length: number): number {
  const lead = bytes[at] ?? 0;
  if (length === 1) return lead;
  let codePoint = lead & (0xff >> (length + 1));
  for (let offset = 1; offset < length; offset++) codePoint = (codePoint << 6) | ((bytes[at + offset] ?? 0) & 0x3f);
  return codePoint;
}
