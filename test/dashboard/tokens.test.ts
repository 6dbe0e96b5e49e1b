// Token decoding: what a reader sees must be the text, however BPE cut its bytes.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { groupTokens, tokenLabel, visiblePieces } from '../../dashboard/page/tokens.ts';
import { decodeUtf8 } from '../../dashboard/page/utf8.ts';
import type { Vocabulary } from '../../schemas/dashboard.ts';

/** A vocabulary of the tokens given as bytes; end of text comes last. */
function words(...tokens: number[][]): Vocabulary {
  return { eot: tokens.length, tokens: [...tokens.map((bytes) => String.fromCharCode(...bytes)), '<|endoftext|>'] };
}

const utf8 = (text: string): number[] => [...new TextEncoder().encode(text)];
const texts = (ids: number[], vocabulary: Vocabulary): string[] => groupTokens(ids, vocabulary).map(({ text }) => text);

describe('groupTokens', () => {
  test('a character split over two and three tokens is one group, its neighbours stand alone', () => {
    const vocabulary = words(utf8('a'), [0x20, 0xe3, 0x81], [0x93], [0xf0], [0x9f, 0x8e], [0x89], utf8('b'));
    expect(groupTokens([0, 1, 2, 3, 4, 5, 6], vocabulary)).toEqual([
      { start: 0, end: 1, text: 'a', kind: 'text' },
      { start: 1, end: 3, text: ' こ', kind: 'text' },
      { start: 3, end: 6, text: '🎉', kind: 'text' },
      { start: 6, end: 7, text: 'b', kind: 'text' },
    ]);
  });

  test('a token that ends one character and begins the next joins both', () => {
    const [first, second] = [utf8('鱗'), utf8('鯱')];
    const vocabulary = words(first.slice(0, 2), [...first.slice(2), ...second.slice(0, 1)], second.slice(1));
    expect(groupTokens([0, 1, 2], vocabulary)).toEqual([{ start: 0, end: 3, text: '鱗鯱', kind: 'text' }]);
  });

  test('a character that never completes is hex and does not swallow the next token', () => {
    const vocabulary = words([0xe3, 0x81], utf8('x'), [0x93]);
    expect(texts([0, 1], vocabulary)).toEqual(['‹E3›‹81›', 'x']);
    expect(texts([2, 1], vocabulary)).toEqual(['‹93›', 'x']);
    expect(texts([1, 0], vocabulary)).toEqual(['x', '‹E3›‹81›']);
    expect(texts([0, 0, 2], vocabulary)).toEqual(['‹E3›‹81›', 'こ']);
  });

  test('the quotation mark that also marks hex bytes is an ordinary character', () => {
    const bytes = utf8('‹');
    expect(texts([0, 1], words(bytes.slice(0, 1), bytes.slice(1)))).toEqual(['‹']);
  });

  test('end of text stands alone, even inside an unfinished character', () => {
    const vocabulary = words([0xe3, 0x81], [0x93]);
    expect(groupTokens([0, 2, 1], vocabulary).map(({ text, kind }) => [text, kind])).toEqual([
      ['‹E3›‹81›', 'text'],
      ['<|endoftext|>', 'end-of-text'],
      ['‹93›', 'text'],
    ]);
  });

  test('end of text has the name that its vocabulary gives it', () => {
    const vocabulary = { eot: 1, tokens: ['a', '<|end_of_text|>'] };
    expect(groupTokens([0, 1], vocabulary).map(({ text }) => text)).toEqual(['a', '<|end_of_text|>']);
    expect(tokenLabel(1, vocabulary)).toBe('<|end_of_text|>');
  });

  test('an id outside the vocabulary is named', () => {
    expect(texts([0, 50_300], words(utf8('a')))).toEqual(['a', '‹#50300›']);
    expect(tokenLabel(50_300, words())).toBe('‹#50300›');
  });

  test('any text, cut anywhere, reads as itself, and the groups cover every token once', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1 }), (text, sizes) => {
        const bytes = utf8(text);
        const tokens: number[][] = [];
        for (let at = 0; at < bytes.length; ) {
          const size = sizes[tokens.length % sizes.length] ?? 1;
          tokens.push(bytes.slice(at, at + size));
          at += size;
        }
        const groups = groupTokens(tokens.map((_, id) => id), words(...tokens));
        expect(groups.map((group) => group.text).join('')).toBe(text);
        expect(groups.map(({ start }) => start)).toEqual([0, ...groups.map(({ end }) => end)].slice(0, groups.length));
        expect(groups.at(-1)?.end ?? 0).toBe(tokens.length);
      }),
    );
  });
});

describe('decodeUtf8', () => {
  test('agrees with TextDecoder on which byte strings are valid', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.constantFrom(0x41, 0x80, 0x9f, 0xa0, 0xbf, 0xc1, 0xc2, 0xe0, 0xed, 0xf0, 0xf4, 0xf5), fc.integer({ min: 0, max: 255 })), { maxLength: 8 }), (bytes) => {
        let expected: string | undefined;
        try {
          expected = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(new Uint8Array(bytes));
        } catch {
          expected = undefined;
        }
        const { text, pendingBytes } = decodeUtf8(bytes);
        if (expected !== undefined) expect({ text, pendingBytes }).toEqual({ text: expected, pendingBytes: 0 });
        else expect(text).toMatch(/‹[0-9A-F]{2}›/);
      }),
      { numRuns: 2_000 },
    );
  });

  test('says how many bytes at the end await the rest of a character', () => {
    expect(decodeUtf8([0x61, 0xf0, 0x9f])).toEqual({ text: 'a‹F0›‹9F›', pendingBytes: 2 });
    expect(decodeUtf8([0xed, 0xa0])).toEqual({ text: '‹ED›‹A0›', pendingBytes: 0 });
  });
});

describe('visiblePieces', () => {
  test('newlines, tabs and direction overrides become marks, spaces only where asked', () => {
    expect(visiblePieces('a b\n\t\u202ec')).toEqual([
      { text: 'a b', mark: false },
      { text: '↵⇥‹U+202E›', mark: true },
      { text: 'c', mark: false },
    ]);
    expect(visiblePieces(' a', true)).toEqual([
      { text: '·', mark: true },
      { text: 'a', mark: false },
    ]);
  });
});
