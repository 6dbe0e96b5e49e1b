// Imported tokenizers against Hugging Face's own library (test/oracle/tokenizer_json.py), GPT-2 as a tokenizer.json
// against tiktoken, and the refusal of all that can't be followed.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { splitPattern } from '../../data/splitPattern.ts';
import { createTokenizer } from '../../data/tokenizer.ts';
import { readTokenizerJson } from '../../data/tokenizerJson.ts';
import { UserError } from '../../schemas/errors.ts';
import { gpt2TokenizerJson, patched, smallTokenizer } from './tokenizerFixtures.ts';

interface Variants {
  texts: string[];
  variants: { name: string; patch: Record<string, unknown>; sha256: string[] }[];
  unicode: { name: string; sha256: string[] }[];
}
const oracleText = (name: string) => readFileSync(new URL(`../oracle/${name}.json`, import.meta.url), 'utf8');
const { texts, variants, unicode } = JSON.parse(oracleText('tokenizerVariants')) as Variants;
const { contexts, block } = JSON.parse(oracleText('tokenizerHashes')) as { contexts: string[]; block: number };
const END = '<|endoftext|>';
const hashOf = (ids: ArrayLike<number>) => createHash('sha256').update(Array.from(ids).join(',')).digest('hex').slice(0, 12);
const load = (patch: Record<string, unknown> = {}, endOfText = END) => readTokenizerJson(JSON.stringify(patched(smallTokenizer(), patch)), endOfText, 'mine.json');

describe('against Hugging Face’s tokenizers', () => {
  it.each(variants)('$name: every text has the same ids', ({ patch, sha256 }) => {
    const tokenizer = load(patch);
    expect(texts.length).toBeGreaterThan(200);
    texts.forEach((text, index) => expect(hashOf(tokenizer.encode(text)), JSON.stringify(text.slice(0, 80))).toBe(sha256[index]));
  });

  it.each(unicode)('$name: every character of the first two planes has the same ids in every context', { timeout: 300_000 }, ({ name, sha256 }) => {
    const tokenizer = load(variants.find((variant) => variant.name === name)!.patch);
    const strangers = sha256.flatMap((expected, index) => {
      const hash = createHash('sha256');
      for (let code = index * block; code < (index + 1) * block; code++) {
        if (code >= 0xd800 && code < 0xe000) continue;
        for (const context of contexts) hash.update(tokenizer.encode(context.replaceAll('{c}', () => String.fromCodePoint(code)))).update('\xff\xff', 'latin1');
      }
      return hash.digest('hex') === expected ? [] : [`U+${(index * block).toString(16)}`];
    });
    expect(strangers).toEqual([]);
  });

  it('merges may be written as pairs or as words with a space between', () => {
    const merges = (smallTokenizer()['model'] as { merges: [string, string][] }).merges;
    const spaced = load({ 'model.merges': merges.map((pair) => pair.join(' ')) });
    const { sha256 } = variants.find(({ name }) => name === 'as trained')!;
    texts.forEach((text, index) => expect(hashOf(spaced.encode(text))).toBe(sha256[index]));
  });
});

describe('GPT-2 as a tokenizer.json', () => {
  const imported = readTokenizerJson(JSON.stringify(gpt2TokenizerJson()), END, 'gpt2.json');
  const full = createTokenizer(50_257);

  it('has the ids of tiktoken', () => {
    const { cases } = JSON.parse(oracleText('tokenizer')) as { cases: { text: string; full: number[] }[] };
    for (const { text, full: ids } of cases) expect([...imported.encode(text)], JSON.stringify(text.slice(0, 80))).toEqual(ids);
  });

  it('has the same tokens, the end of text and their number', () => {
    expect([imported.vocabSize, imported.eot]).toEqual([full.vocabSize, full.eot]);
    for (let id = 0; id < full.vocabSize; id++) expect(Buffer.from(imported.tokenBytes(id)).equals(full.tokenBytes(id)), String(id)).toBe(true);
  });
});

describe('an imported vocabulary', () => {
  it('decodes what it encoded, whatever its ids', () => {
    const tokenizer = load();
    for (const text of texts) expect(tokenizer.decode(tokenizer.encode(text))).toBe(text.replace(/\p{Surrogate}/gu, '\ufffd'));
    expect(tokenizer.decode([tokenizer.eot])).toBe(END);
    expect(tokenizer.vocabSize).toBe(701);
    expect(() => tokenizer.tokenBytes(701)).toThrow(RangeError);
  });

  it('of more than 65,536 ids has ids of four bytes', () => {
    const tokenizer = load({ 'model.vocab.Ġtwo': 70_000, 'model.ignore_merges': true });
    expect(tokenizer.vocabSize).toBe(70_001);
    expect(tokenizer.encode(' two')).toEqual(Uint32Array.of(70_000));
    expect(tokenizer.tokenBytes(69_999)).toHaveLength(0);
    expect(load().encode('')).toEqual(new Uint16Array(0));
  });

  it('may have a token called __proto__', () => {
    const json = JSON.stringify(smallTokenizer()).replace('"vocab":{', '"vocab":{"__proto__":710,');
    expect(readTokenizerJson(json, END, 'mine.json').tokenBytes(710)).toEqual(new TextEncoder().encode('__proto__'));
  });

  it('ends documents with the token that is named, added or not', () => {
    const added_tokens = [{ id: 0, content: END, special: true }, { id: 701, content: '<end>', special: true }];
    expect(load({ added_tokens }, '<end>').eot).toBe(701);
    expect(load({}, 'Ġtwo').eot).toBe(700);
    expect(() => load({ added_tokens }, '<stop>')).toThrow(/^tokenize\.endOfText: mine\.json has no token "<stop>"/);
  });
});

describe('what can’t be followed is refused by its field', () => {
  it.each<[string, Record<string, unknown>, RegExp]>([
    ['byte fallback', { 'model.byte_fallback': true }, /^mine\.json: model\.byte_fallback: .*\(got true\)$/],
    ['dropout', { 'model.dropout': 0.1 }, /model\.dropout: .*\(got 0\.1\)/],
    ['another model', { 'model.type': 'Unigram' }, /model\.type: .*\(got "Unigram"\)/],
    ['a suffix', { 'model.end_of_word_suffix': '</w>' }, /model\.end_of_word_suffix/],
    ['another normalizer', { normalizer: { type: 'Lowercase' } }, /normalizer\.type/],
    ['another normalizer in a sequence', { normalizer: { type: 'Sequence', normalizers: [{ type: 'NFKC' }] } }, /normalizer\.normalizers\.0\.type/],
    ['no pre-tokenizer', { pre_tokenizer: null }, /pre_tokenizer: .*\(got null\)/],
    ['another pre-tokenizer', { pre_tokenizer: { type: 'Metaspace' } }, /pre_tokenizer\.type/],
    ['a sequence without ByteLevel', { pre_tokenizer: { type: 'Sequence', pretokenizers: [{ type: 'Split', pattern: { Regex: 'a' }, behavior: 'Isolated', invert: false }] } }, /pretokenizers\.0\.type: the last one must be ByteLevel/],
    ['another behavior', { pre_tokenizer: { type: 'Sequence', pretokenizers: [{ type: 'Split', pattern: { Regex: 'a' }, behavior: 'Removed', invert: false }] } }, /pretokenizers\.0\.behavior/],
    ['a token that eats spaces', { added_tokens: [{ id: 0, content: END, special: true }, { id: 701, content: '<m>', lstrip: true }] }, /added_tokens\.1\.lstrip/],
    ['an added id that the library would not give', { added_tokens: [{ id: 0, content: END, special: true }, { id: 900, content: '<m>' }] }, /added_tokens\.1\.id: 900 \(of "<m>"\) where 701 comes next/],
    ['a merge of no token', { 'model.merges': [['e', 'qqq']] }, /model\.merges\.0: \["e","qqq"\]/],
    ['a merge of three', { 'model.merges': ['a b c'] }, /model\.merges\.0/],
    ['a missing byte', { 'model.vocab': { [END]: 0, a: 1 } }, /model\.vocab: the byte 0x00/],
    ['a token of other characters', { 'model.vocab.▁the': 800 }, /model\.vocab: "▁the"/],
    ['an id that is none', { 'model.vocab.a': -1 }, /model\.vocab: the id of "a" is -1/],
  ])('%s', (_, patch, message) => {
    expect(() => load(patch)).toThrow(UserError);
    expect(() => load(patch)).toThrow(message);
  });

  it('a file that is no JSON', () => {
    expect(() => readTokenizerJson('{', END, 'mine.json')).toThrow(/^mine\.json: not JSON/);
  });

  it.each(['^a', 'a$', '\\bword', '\\w+', '\\p{Han}', '(?<=a)b', '[a[b]]', '[a&&b]', '(?i:[ab])', '(?i:strasse)', '(?i:é)', 'a{2}+', '(a', 'a)', '(?i:Σ)', '[z-a]', '\\1', '(?>a)', 'a{,3}'])('the pattern %s', (pattern) => {
    expect(() => splitPattern(pattern, 'mine.json: pattern')).toThrow(UserError);
    expect(() => splitPattern(pattern, 'mine.json: pattern')).toThrow(/^mine\.json: pattern: .* has no exact counterpart here$/);
  });
});
