// UTF-8 read strictly: a corpus in another encoding must be told with its byte, not turned into replacement characters.

const strictUtf8 = new TextDecoder('utf-8', { fatal: true });

/** The text without a byte-order mark, or where it stops being UTF-8 (`offset`: of the first byte in the file). */
export function decodeUtf8(bytes: Uint8Array, offset: number): string | { problem: string } {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    const at = firstInvalidByte(bytes);
    const byte = (bytes[at] as number).toString(16).toUpperCase().padStart(2, '0');
    return { problem: `invalid UTF-8 at byte offset ${offset + at} (0x${byte})` };
  }
}

/** Offset of the first byte of the first broken character. */
function firstInvalidByte(bytes: Uint8Array): number {
  // Whether a prefix decodes when it may end inside a character is monotonous in its length: bisect.
  let valid = 0;
  let invalid = bytes.length + 1;
  while (invalid - valid > 1) {
    const middle = (valid + invalid) >> 1;
    if (middle <= bytes.length && decodes(bytes.subarray(0, middle), true)) valid = middle;
    else invalid = middle;
  }
  while (!decodes(bytes.subarray(0, valid), false)) valid--;
  return valid;
}

function decodes(bytes: Uint8Array, mayEndInsideCharacter: boolean): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: mayEndInsideCharacter });
    return true;
  } catch {
    return false;
  }
}
