// The files a corpus is made of, and that any cutting of them gives the same documents.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { resolveCorpusFiles } from '../../data/corpusFiles.ts';
import type { CorpusFile } from '../../data/corpusFiles.ts';
import { corpusShard, planCorpusShards } from '../../data/corpusShards.ts';
import { buildDemoCorpus, DEMO_CORPUS_SHA256 } from '../../data/demoCorpus.ts';
import { defaultReadOptions, readDocuments } from '../../data/documents.ts';
import { UserError } from '../../schemas/errors.ts';
import { corpusFolder, jsonLines, readCorpus } from './corpusFixtures.ts';

const refusal = async (patterns: string[], cwd: string) => {
  const error = await resolveCorpusFiles(patterns, cwd).catch((cause: unknown) => cause);
  expect(error).toBeInstanceOf(UserError);
  return error as UserError;
};

describe('files', () => {
  it('are found by pattern, once each, sorted by name, with size and SHA-256', async () => {
    const folder = corpusFolder({ 'b/2.jsonl': '{"text":"b"}\n', 'a.txt': 'a', 'c.parquet.zst': 'c', 'readme.md': 'no' });
    const files = await resolveCorpusFiles(['**/*.jsonl', 'a.txt', '*.{txt,zst}'], folder);
    expect(files.map((file) => [file.name, file.format, file.compression, file.bytes])).toEqual([
      ['a.txt', 'txt', 'none', 1],
      ['b/2.jsonl', 'jsonl', 'none', 13],
      ['c.parquet.zst', 'parquet', 'zst', 1],
    ]);
    expect(files[0]?.sha256).toBe(createHash('sha256').update('a').digest('hex'));
  });

  it('outside the working directory are named from what they have in common, so that no page shows a home directory', async () => {
    const folder = corpusFolder({ 'one/x.txt': 'x', 'two/y.txt': 'y' });
    const files = await resolveCorpusFiles([`${folder}/*/*.txt`], corpusFolder({}));
    expect(files.map((file) => file.name)).toEqual(['one/x.txt', 'two/y.txt']);
    const [single] = await resolveCorpusFiles([`${folder}/one/x.txt`], corpusFolder({}));
    expect(single?.name).toBe('x.txt');
  });

  it('of the demo have the same name wherever they lie', async () => {
    const before = process.env['SAEFLOW_CACHE_DIR'];
    const { file: built } = await buildDemoCorpus();
    const home = corpusFolder({ 'cache/corpus/demo-corpus.jsonl': readFileSync(built) });
    process.env['SAEFLOW_CACHE_DIR'] = path.join(home, 'cache');
    try {
      const [file] = await resolveCorpusFiles(['demo:'], home);
      expect(file).toMatchObject({ name: 'demo-corpus.jsonl', path: path.join(home, 'cache/corpus/demo-corpus.jsonl'), sha256: DEMO_CORPUS_SHA256 });
    } finally {
      if (before === undefined) delete process.env['SAEFLOW_CACHE_DIR'];
      else process.env['SAEFLOW_CACHE_DIR'] = before;
    }
  });

  it('may have a pattern’s characters in their names', async () => {
    const [file] = await resolveCorpusFiles(['a[1].txt'], corpusFolder({ 'a[1].txt': 'x' }));
    expect(file?.name).toBe('a[1].txt');
  });

  it('a pattern that matches nothing is named, with what would do', async () => {
    const { message, remedy } = await refusal(['a.txt', 'nix/*.jsonl'], corpusFolder({ 'a.txt': 'x' }));
    expect(message).toContain('"nix/*.jsonl" matches no file');
    expect(remedy).toContain('.txt, .jsonl and .parquet');
  });

  it('a directory is refused with the pattern to use', async () => {
    const { message, remedy } = await refusal(['docs'], corpusFolder({ 'docs/a.txt': 'x' }));
    expect(message).toContain('"docs" is a directory');
    expect(remedy).toContain('docs/**/*.jsonl');
  });

  it('another extension is refused with those supported', async () => {
    const { message, remedy } = await refusal(['a.csv'], corpusFolder({ 'a.csv': 'x' }));
    expect(message).toContain('a.csv');
    expect(remedy).toContain('.txt, .jsonl and .parquet');
  });

  it('a corpus of empty files is refused', async () => {
    expect((await refusal(['*.txt'], corpusFolder({ 'a.txt': '', 'b.txt': '' }))).message).toContain('the corpus is empty: 2 files of 0 bytes');
  });

  it('a file that went away after planning is refused by name', async () => {
    const folder = corpusFolder({ 'a.jsonl': jsonLines([{ text: 'x' }]) });
    const [shard] = planCorpusShards(await resolveCorpusFiles(['a.jsonl'], folder), 100);
    renameSync(path.join(folder, 'a.jsonl'), path.join(folder, 'b.jsonl'));
    const reading = readDocuments(shard as NonNullable<typeof shard>, defaultReadOptions).next();
    await expect(reading).rejects.toThrow(/a\.jsonl can't be read: ENOENT/);
  });

  it.each([
    ['a.jsonl', jsonLines([{ text: 'x' }]), 100, 'b', /SHA-256/],
    ['a.jsonl.gz', gzipSync(jsonLines([{ text: 'x' }])), 100, gzipSync(jsonLines([{ text: 'y' }])), /SHA-256/],
    ['a.jsonl', jsonLines([{ text: 'x' }, { text: 'y' }]), 15, jsonLines([{ text: 'x' }, { text: 'y' }, { text: 'z' }]), /39 bytes, not 26/],
  ])('%s that changes after planning is refused, %#', async (name, content, shardBytes, changed, message) => {
    const folder = corpusFolder({ [name]: content });
    const [shard] = planCorpusShards(await resolveCorpusFiles([name], folder), shardBytes);
    const other = changed === 'b' ? String(content).replace('x', 'y') : changed;
    writeFileSync(path.join(folder, name), other);
    const error = await (async () => {
      for await (const document of readDocuments(shard as NonNullable<typeof shard>, defaultReadOptions)) void document;
    })().catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(UserError);
    expect((error as UserError).message).toMatch(message);
    expect((error as UserError).message).toContain('is not what it was when the run began');
  });

  it('a file that is a directory inside a matched folder is no file', async () => {
    const folder = corpusFolder({ 'a.txt': 'x' });
    mkdirSync(path.join(folder, 'b.txt'));
    expect((await resolveCorpusFiles(['*.txt'], folder)).map((file) => file.name)).toEqual(['a.txt']);
  });
});

describe('shards', () => {
  it('of any size give the same documents with the same lines', async () => {
    const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 20 }).filter((value) => !/\p{Surrogate}/u.test(value)), fc.constantFrom('äöü', '日本', '\n', '\u2028'));
    const corpus = fc.record({
      texts: fc.array(text, { minLength: 1, maxLength: 30 }),
      blankEvery: fc.integer({ min: 1, max: 5 }),
      end: fc.constantFrom('\n', '\r\n'),
      lastEnd: fc.boolean(),
      shardBytes: fc.integer({ min: 1, max: 700 }),
      lineMarkBytes: fc.integer({ min: 1, max: 300 }),
    });
    await fc.assert(
      fc.asyncProperty(corpus, async ({ texts, blankEvery, end, lastEnd, shardBytes, lineMarkBytes }) => {
        const lines = texts.map((value, index) => JSON.stringify({ text: value }) + (index % blankEvery === 0 ? end : '') + end).join('');
        const content = lastEnd ? lines : lines.trimEnd();
        const folder = corpusFolder({ 'big.jsonl': content, 'small.jsonl.gz': gzipSync(content), 'a.txt': 'one', 'b.txt': 'two' });
        const whole = await readCorpus(folder, {}, 2 ** 30);
        const cut = await readCorpus(folder, {}, shardBytes, lineMarkBytes);
        expect(whole.shards).toBe(1);
        expect(cut.documents).toEqual(whole.documents);
        expect(cut.stats).toEqual(whole.stats);
        expect(whole.documents.filter((document) => document.file === 'big.jsonl').map((document) => document.text)).toEqual(texts.filter((value) => value !== ''));
      }),
      { numRuns: 60 },
    );
  });

  const file = (name: string, bytes: number, more: Partial<CorpusFile> = {}): CorpusFile => ({
    path: `/corpus/${name}`, name, bytes, sha256: '', format: 'jsonl', compression: 'none', lineMarkBytes: 64, lineMarks: [], ...more,
  });

  it('large plain JSON lines are cut evenly, small files packed together, others kept whole', () => {
    const files = [file('a.jsonl', 250), file('b.parquet', 900, { format: 'parquet' }), file('c.txt', 30, { format: 'txt' }), file('d.jsonl', 60), file('e.jsonl', 20)];
    const plan = planCorpusShards(files, 100);
    expect(plan.map((shard) => shard.parts.map((part) => [part.name, part.byteStart, part.byteEnd]))).toEqual([
      [['a.jsonl', 0, 83]],
      [['a.jsonl', 83, 166]],
      [['a.jsonl', 166, 250]],
      [['b.parquet', 0, null]],
      [['c.txt', 0, null], ['d.jsonl', 0, null]],
      [['e.jsonl', 0, null]],
    ]);
    expect(plan.map((shard) => shard.index)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(plan.reduce((total, shard) => total + shard.bytes, 0)).toBe(1_260);
  });

  it('a part knows the nearest place up to which lines are counted', () => {
    const plan = planCorpusShards([file('a.jsonl', 300, { lineMarks: [5, 9, 12, 20] })], 100);
    expect(plan.map((shard) => shard.parts[0]?.lineMark)).toEqual([
      { byte: 0, lines: 0 },
      { byte: 64, lines: 5 },
      { byte: 192, lines: 12 },
    ]);
  });

  it('a plan is plain JSON', () => {
    const plan = planCorpusShards([file('a.jsonl', 300)], 100);
    expect(corpusShard.array().parse(JSON.parse(JSON.stringify(plan)))).toEqual(plan);
  });

  it.each([0, -1, 1.5, Number.NaN])('a size of %d is refused', (shardBytes) => {
    expect(() => planCorpusShards([], shardBytes)).toThrow(/shardBytes .* is not a positive whole number/);
  });
});
