// A token for a person's eye: a token is bytes, which need not be whole characters, nor visible ones.

const strictUtf8 = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true });

/** Whole characters as they are, controls and the bytes of broken characters as escapes: "\n", "\x1B", "\xE3". */
export function tokenText(bytes: Uint8Array): string {
  try {
    return strictUtf8.decode(bytes).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, escapeCharacter);
  } catch {
    return textOfParts(bytes);
  }
}

function textOfParts(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const length = characterLength(bytes, at);
    if (length === 0) text += `\\x${(bytes[at] as number).toString(16).toUpperCase().padStart(2, '0')}`;
    else text += tokenText(bytes.subarray(at, at + length));
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
