// The tokenizer against Python tiktoken's own answers, against tiktoken's WebAssembly core, and its round trip.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import fc from 'fast-check';
import { Tiktoken } from 'tiktoken/lite';
import { describe, expect, it } from 'vitest';
import { buildDemoCorpus } from '../../data/demoCorpus.ts';
import { createTokenizer, type Tokenizer } from '../../data/tokenizer.ts';
import { UserError } from '../../schemas/errors.ts';

interface Answers<Kind> {
  full: Kind;
  cut: Kind;
}
interface Oracle {
  cases: { text: string; full: number[]; cut: number[] }[];
}
interface Hashes {
  contexts: string[];
  block: number;
  unicode: string[];
  longRuns: Answers<{ text: string; times: number; sha256: string }[]>;
  demoCorpus: Answers<{ corpusSha256: string; tokens: number; sha256: string }>;
}
const read = (name: string) => readFileSync(new URL(`../oracle/${name}.json`, import.meta.url), 'utf8');
const oracle = JSON.parse(read('tokenizer')) as Oracle;
const hashes = JSON.parse(read('tokenizerHashes')) as Hashes;
const full = createTokenizer(50_257);
const cut = createTokenizer(8_192);
const both = [
  { name: 'whole vocabulary', tokenizer: full, answer: 'full' as const },
  { name: 'cut to 8,192', tokenizer: cut, answer: 'cut' as const },
];

/** As test/oracle/tokenizer.py hashes: uint16, little-endian, 65535 after each text. */
function hashOf(texts: Iterable<string>, tokenizer: Tokenizer): { tokens: number; sha256: string } {
  const hash = createHash('sha256');
  let tokens = 0;
  for (const text of texts) {
    const ids = tokenizer.encode(text);
    tokens += ids.length;
    hash.update(ids).update('\xff\xff', 'latin1');
  }
  return { tokens, sha256: hash.digest('hex') };
}

describe.each(both)('against Python tiktoken (test/oracle/tokenizer.py), $name', ({ tokenizer, answer }) => {
  it('every awkward text has the same ids, and comes back', () => {
    expect(oracle.cases.length).toBeGreaterThan(200);
    for (const { text, [answer]: ids } of oracle.cases) {
      expect([...tokenizer.encode(text)], JSON.stringify(text.slice(0, 80))).toEqual(ids);
      expect(tokenizer.decode(ids)).toBe(text);
    }
  });

  it.each(hashes.longRuns[answer])('a run of 20,000 has the same ids: $text', ({ text, times, sha256 }) => {
    expect(hashOf([text.repeat(times)], tokenizer).sha256).toBe(sha256);
  });

  it('the whole demo corpus has the same ids', async () => {
    const { file, sha256 } = await buildDemoCorpus();
    const texts = readFileSync(file, 'utf8').trimEnd().split('\n').map((line) => (JSON.parse(line) as { text: string }).text);
    expect({ corpusSha256: sha256, ...hashOf(texts, tokenizer) }).toEqual(hashes.demoCorpus[answer]);
  });
});

describe('all of Unicode', () => {
  it('has the ids of Python tiktoken: each character alone, in words, among digits and signs, and beside white space', { timeout: 300_000 }, () => {
    const contexts = hashes.contexts.map((context) => context.split('{c}'));
    const strangers = hashes.unicode.flatMap((expected, index) => {
      const codes = Array.from({ length: hashes.block }, (_, offset) => index * hashes.block + offset).filter((code) => code < 0xd800 || code >= 0xe000);
      const texts = codes.flatMap((code) => contexts.map((parts) => parts.join(String.fromCodePoint(code))));
      return hashOf(texts, full).sha256 === expected ? [] : [`U+${(index * hashes.block).toString(16)}`];
    });
    expect(strangers).toEqual([]);
  });
});

describe('against tiktoken’s WebAssembly core', () => {
  it('all texts in one, twice, so that known and new pieces alternate', () => {
    const text = oracle.cases.map((entry) => entry.text).filter((part) => part.length < 200).join(' . ').repeat(2);
    expect(full.encode(text)).toEqual(coreEncode(text));
  });

  it('any mixture of words, scripts and white space', () => {
    const fragment = fc.constantFrom(
      'the', ' cat', "'s", "'", "'re", "'l", '’s', '  ', '\n', '\r\n', '\n\n', '\t', '\u00a0', '\u0085', '\u3000', 'Größe', ' Привет', '日本', '。', '12', ' 3', '٣', '...', ' -',
      '\ufeff', '👍🏽', '👨‍👩‍👧', '\u0301', '\u1c80', 'ꟲ', '𞤀', 'שלום', 'مرحبا', 'क्षि', '\0', '\u200d', '\ud83d', '\udc00', '<|endoftext|>', 'x'.repeat(60), ' '.repeat(150), 'ab'.repeat(90),
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(fragment, fc.string({ unit: 'binary', maxLength: 3 })), { maxLength: 60 }), (parts) => {
        const text = parts.join('');
        expect(full.encode(text)).toEqual(coreEncode(text));
      }),
      { numRuns: 500 },
    );
  });
});

describe('texts of a megabyte', () => {
  it.each([
    ['one letter', 'a'.repeat(1_000_000)],
    ['spaces', ' '.repeat(1_000_000)],
    ['blank lines before a word', `${'\n'.repeat(1_000_000)}x`],
    ['letters without pattern', Array.from({ length: 1_000_000 }, (_, i) => 'acgt'[(i * i * 7 + (i >> 3)) & 3]).join('')],
    ['a lone apostrophe before each letter', "'x".repeat(500_000)],
    ['characters of four bytes', '👍'.repeat(250_000)],
  ])('%s is tokenized, and comes back', (_, text) => {
    expect(full.decode(full.encode(text)) === text).toBe(true);
  });

  it('a text after a long one has its own ids only', () => {
    full.encode('日'.repeat(300_000));
    expect(full.encode('Hello world')).toEqual(Uint16Array.of(15496, 995));
    expect(full.encode('')).toHaveLength(0);
  });

  it('more different words than are remembered are tokenized like the first', () => {
    const words = Array.from({ length: 300_000 }, (_, i) => ` w${i.toString(36)}ü`);
    const tokenizer = createTokenizer(50_257);
    tokenizer.encode(words.join(''));
    const last = words.slice(-1_000).join('');
    expect(tokenizer.encode(last)).toEqual(coreEncode(last));
    expect(tokenizer.encode(words[0]!)).toEqual(coreEncode(words[0]!));
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
    for (const lone of ['\ud83d', '\udc00', '\udc00\ud83d']) expect(full.encode(`a${lone}z`)).toEqual(full.encode(`a${'\ufffd'.repeat(lone.length)}z`));
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
