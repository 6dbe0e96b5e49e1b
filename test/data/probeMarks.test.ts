import { describe, expect, it } from 'vitest';
import { ProbeMarks } from '../../data/probeMarks.ts';
import { createTokenizer } from '../../data/tokenizer.ts';
import { dashboardConfig } from '../../schemas/config.ts';
import { defaultProbes, probe, type Probe } from '../../schemas/probes.ts';

const tokenizer = createTokenizer(50_257);
/** Tokens of a text that satisfy a condition, as text. */
function marked(where: unknown, text: string, lang = 'en'): string[] {
  const marks = new ProbeMarks([probe.parse({ name: 'x', where: Array.isArray(where) ? where : [where] })], tokenizer);
  const tokens = Int32Array.from([...tokenizer.encode(text), tokenizer.eot]);
  const bits = marks.mark(tokens, lang);
  return Array.from(tokens).flatMap((token, index) => (bits[index] === 1 ? [Buffer.from(tokenizer.tokenBytes(token)).toString('utf8')] : []));
}
const found = (name: string, text: string, lang = 'en') => marked((defaultProbes.find((known) => known.name === name) as Probe).where, text, lang);

describe('a condition marks', () => {
  it('by script every token of a character, also where it is cut into bytes', () => {
    const bytesOnly = createTokenizer(257);
    const marks = new ProbeMarks([probe.parse({ name: 'x', where: [{ kind: 'script', scripts: ['Han'] }] })], bytesOnly);
    const bits = marks.mark(Int32Array.from(bytesOnly.encode('a 龍😀龍b')), 'en');
    expect([...bits]).toEqual([0, 0, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 0]);
  });

  it('by pattern all tokens that a match touches, with what is around in sight', () => {
    expect(marked({ kind: 'pattern', pattern: '(?<=on )May 2, 1997' }, 'It was on May 2, 1997, not May 3.')).toEqual([' May', ' 2', ',', ' 1997']);
  });

  it('by strings, in which nothing is a pattern', () => {
    expect(marked({ kind: 'text', strings: ['a.b', '(x)'] }, 'aXb (x)').join('')).toBe(' (x)');
  });

  it('characters beyond the basic plane, and what follows them', () => {
    expect(marked({ kind: 'pattern', pattern: 'end' }, '😀😀 end')).toEqual([' end']);
    expect(marked({ kind: 'script', scripts: ['Latin'] }, '😀 end')).toEqual([' end']);
    expect(marked({ kind: 'text', strings: ['😀'] }, 'a 😀 b').length).toBeGreaterThan(1);
  });

  it('by token exactly that token, and turned round all others but the end of text', () => {
    expect(marked({ kind: 'token', strings: [' cat'] }, 'cat cat cats')).toEqual([' cat']);
    expect(marked({ kind: 'token', not: true, strings: [' cat'] }, 'cat cat cats')).toEqual(['cat', ' cats']);
    expect(marked({ kind: 'tokenPattern', pattern: '^ ?C', ignoreCase: true }, 'a Cat cats')).toEqual([' Cat', ' cats']);
  });

  it('by language whole documents but for the end of text', () => {
    expect(marked({ kind: 'language', languages: ['de', 'nl'] }, 'Ja, so', 'nl').join('')).toBe('Ja, so');
    expect(marked({ kind: 'language', languages: ['de', 'nl'] }, 'Ja, so', 'en')).toEqual([]);
  });

  it('only where all conditions hold', () => {
    expect(marked([{ kind: 'token', strings: [' cat'] }, { kind: 'pattern', pattern: 'cat(?= sat)' }], 'a cat ran, a cat sat')).toEqual([' cat']);
  });
});

it('forty probes have a bit each', () => {
  const probes = Array.from({ length: 40 }, (_, index) => probe.parse({ name: `${index}`, where: [{ kind: 'token', strings: [index % 3 === 0 ? ' cat' : ' dog'] }] }));
  const marks = new ProbeMarks(probes, tokenizer);
  const bits = marks.mark(Int32Array.from(tokenizer.encode('a cat')), 'en');
  const of = (token: number, index: number) => (bits[token * marks.words + Math.floor(index / 32)]! >>> index % 32) & 1;
  expect(probes.map((_, index) => of(1, index))).toEqual(probes.map((_, index) => (index % 3 === 0 ? 1 : 0)));
  expect(probes.some((_, index) => of(0, index) === 1)).toBe(false);
});

describe('the probes that are shipped', () => {
  it.each([
    ['Gregorian dates', 'born 2 May 1997 in', ' 2 May 1997'],
    ['Gregorian dates', 'in 1997 two', ''],
    ['sports leagues', 'the NBA and the Premier League are', ' NBA Premier League'],
    ['“at” inside words', 'look at a hat', ''],
    ['“much”', 'So much, muchness', ' much'],
    ['“v” in video URLs', 'https://www.youtube.com/watch?v=abc', 'v'],
    ['Donald Trump', 'Donald Trump and Donald Duck', 'Donald Trump'],
    ['Cyrillic vowels', 'в', ''],
    ['“&”', 'a & b', ' &'],
    ['LaTeX', 'so \\frac{a}{b} is', ' \\frac{a}{'], // its last token is }{
    ['programming code', 'x', ''],
  ])('%s in %j is %j', (name, text, expected) => {
    expect(found(name, text).join('')).toBe(expected);
  });

  it('are read from a configuration that names none', () => {
    expect(dashboardConfig.parse({}).probes.map(({ name }) => name)).toEqual(defaultProbes.map(({ name }) => name));
  });
});

it('a wrong pattern, script or name is refused', () => {
  const refused = (where: unknown) => probe.safeParse({ name: 'x', where: [where] }).success;
  expect(refused({ kind: 'pattern', pattern: '(' })).toBe(false);
  expect(refused({ kind: 'script', scripts: ['Klingon'] })).toBe(false);
  expect(refused({ kind: 'script', scripts: ['Latin}|.|\\p{Script=Han'] })).toBe(false);
  const twice = [{ name: 'x', where: [{ kind: 'token', strings: ['a'] }] }, { name: 'x', where: [{ kind: 'token', strings: ['b'] }] }];
  expect(() => dashboardConfig.parse({ probes: twice })).toThrow('two probes have the same name');
});
