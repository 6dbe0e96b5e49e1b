// The tokenizer against Python tiktoken's own answers, its shortcuts against its WASM core, and its round trip.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import fc from 'fast-check';
import { Tiktoken } from 'tiktoken/lite';
import { describe, expect, it } from 'vitest';
import { createTokenizer } from '../../data/tokenizer.ts';
import { UserError } from '../../schemas/errors.ts';

interface Oracle {
  fullVocabSize: number;
  cutVocabSize: number;
  cases: { text: string; full: number[]; cut: number[] }[];
}
const oracle = JSON.parse(readFileSync(new URL('../oracle/tokenizer.json', import.meta.url), 'utf8')) as Oracle;
const full = createTokenizer(50_257);
const cut = createTokenizer(8_192);

describe('against Python tiktoken (test/oracle/tokenizer.py)', () => {
  it.each([
    { name: 'whole vocabulary', tokenizer: full, answer: 'full' as const },
    { name: 'cut to 8,192', tokenizer: cut, answer: 'cut' as const },
  ])('$name: every awkward text has the same ids, and comes back', ({ tokenizer, answer }) => {
    expect(oracle.cases.length).toBeGreaterThan(200);
    for (const { text, [answer]: ids } of oracle.cases) {
      expect([...tokenizer.encode(text)], JSON.stringify(text.slice(0, 80))).toEqual(ids);
      expect(tokenizer.decode(ids)).toBe(text);
    }
  });

  it('all texts in one, so that cached and uncached stretches alternate, give the ids of tiktoken’s core', () => {
    const text = oracle.cases.map((entry) => entry.text).filter((part) => part.length < 200).join(' . ').repeat(3);
    expect(full.encode(text)).toEqual(coreEncode(text));
  });
});

describe('shortcuts', () => {
  it('every character of the plane that has its class from this engine is classed as by tiktoken', () => {
    const strangers: string[] = [];
    for (let code = 0; code < 0x10000; code++) {
      if (code >= 0xd800 && code < 0xe000) continue;
      const character = String.fromCharCode(code);
      // The neighbours tell letter, number, space and other apart by where pieces end.
      const text = `a${character}a 1${character}1 .${character}. ${character}${character} x`;
      if (Buffer.compare(Buffer.from(full.encode(text).buffer), Buffer.from(coreEncode(text).buffer)) !== 0) strangers.push(code.toString(16));
    }
    expect(strangers).toEqual([]);
  });

  it('any mixture of words, scripts and white space has the ids of tiktoken’s core', () => {
    const fragment = fc.constantFrom('the', ' cat', "'s", "'", '  ', '\n', '\n\n', '\t', '\u00a0', '\u0085', '\u3000', 'Größe', ' Привет', '日本', '。', '12', ' 3', '٣', '...', ' -', '\ufeff', '👍🏽', '\u0301', '\u1c80', 'ꟲ', '𞤀');
    fc.assert(
      fc.property(fc.array(fc.oneof(fragment, fc.string({ unit: 'binary', maxLength: 3 })), { maxLength: 60 }), (parts) => {
        const text = parts.join('');
        expect(full.encode(text)).toEqual(coreEncode(text));
      }),
      { numRuns: 500 },
    );
  });

  it('a word of a million letters and a megabyte of blank lines are tokenized, and come back', () => {
    const word = Array.from({ length: 1_000_000 }, (_, i) => 'acgt'[(i * i * 7 + (i >> 3)) & 3]).join('');
    const text = `${word} ${'\n'.repeat(1_000_000)}x`;
    expect(full.decode(full.encode(text))).toBe(text);
  });
});

describe('round trip', () => {
  it.each([257, 300, 8_192, 50_257])('any Unicode text comes back from a vocabulary of %i, with ids inside it', (vocabSize) => {
    const tokenizer = createTokenizer(vocabSize);
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
        const ids = tokenizer.encode(text);
        expect(ids.every((id) => id < tokenizer.eot)).toBe(true);
        expect(tokenizer.decode(ids)).toBe(text);
      }),
    );
  });

  it('a special token written in a text is plain text; the end of text decodes to its name', () => {
    expect(full.encode('<|endoftext|>')).not.toContain(full.eot);
    expect(full.eot).toBe(50_256);
    expect(cut.eot).toBe(8_191);
    expect(cut.decode([cut.eot])).toBe('<|endoftext|>');
  });

  it('a lone surrogate counts as U+FFFD', () => {
    expect(full.encode('a\ud83dz')).toEqual(full.encode('a\ufffdz'));
  });
});

describe('tokens for the eye', () => {
  it('whole characters are shown as they are, others by escapes', () => {
    const shown = (text: string) => [...full.encode(text)].map((id) => full.tokenText(id));
    expect(shown(' Hello\n')).toEqual([' Hello', '\\n']);
    expect(shown('\t')).toEqual(['\\t']);
    expect(shown('\x1b')).toEqual(['\\x1B']);
    expect(createTokenizer(257).encode('é')).toHaveLength(2);
    const bytes = createTokenizer(257);
    expect([...bytes.encode('é')].map((id) => bytes.tokenText(id))).toEqual(['\\xC3', '\\xA9']);
    expect(full.tokenText(full.eot)).toBe('<|endoftext|>');
  });

  it('a token of a whole character and part of the next shows both', () => {
    const mixed = Array.from({ length: 50_256 }, (_, id) => id).find((id) => /^ \\x[0-9A-F]{2}/.test(full.tokenText(id)));
    expect(mixed).toBeDefined();
    expect(full.tokenText(mixed as number)).toMatch(/^ (\\x[89A-F][0-9A-F])+$/);
  });

  it('the bytes of all tokens are those of the pieces they decode to', () => {
    expect(Buffer.from(full.tokenBytes(50_255))).toEqual(Buffer.from(full.decode([50_255])));
    expect(() => full.tokenBytes(50_257)).toThrow(RangeError);
  });
});

it.each([256, 50_258, 8_192.5, Number.NaN])('a vocabulary of %d is refused with the range', (vocabSize) => {
  expect(() => createTokenizer(vocabSize)).toThrow(UserError);
  expect(() => createTokenizer(vocabSize)).toThrow(/257 to 50257/);
});

const encoder = createRequire(import.meta.url)('tiktoken/encoders/r50k_base.json') as { bpe_ranks: string; special_tokens: Record<string, number>; pat_str: string };
const core = new Tiktoken(encoder.bpe_ranks, encoder.special_tokens, encoder.pat_str);

function coreEncode(text: string): Uint16Array {
  return Uint16Array.from(core.encode_ordinary(text));
}
