// What is read out of a corpus: every format, every encoding trap, and what a broken line says.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { describe, expect, it } from 'vitest';
import { requireDocuments } from '../../data/documents.ts';
import { UserError } from '../../schemas/errors.ts';
import { corpusFolder, jsonLines, readCorpus } from './corpusFixtures.ts';

const rows = [
  { id: 'a', text: 'Grüße aus Köln', lang: 'de', source: 'letters' },
  { id: 'b', text: 'Привет\nмир', lang: 'ru', source: 'letters' },
  { id: 'c', text: '日本語 👍🏽', lang: 'ja', source: 'letters' },
];

const texts = async (folder: string, options = {}) => (await readCorpus(folder, options)).documents.map((document) => document.text);

function parquet(table: readonly Record<string, unknown>[], rowGroupSize = 2): Uint8Array {
  const names = Object.keys(table[0] ?? {});
  return new Uint8Array(parquetWriteBuffer({ rowGroupSize, columnData: names.map((name) => ({ name, data: table.map((row) => row[name]) as string[], type: 'STRING' as const })) }));
}

const zstd = (name: string) => readFileSync(new URL(`zstd/${name}.zst`, import.meta.url));

describe('formats', () => {
  it.each([
    ['x.jsonl', jsonLines(rows)],
    ['x.jsonl.gz', gzipSync(jsonLines(rows))],
    ['x.jsonl.zst', zstd('rows.jsonl')],
    ['two frames.jsonl.zst', Buffer.concat([zstd('first-row.jsonl'), zstd('other-rows.jsonl')])],
    ['two members.jsonl.gz', Buffer.concat([gzipSync(jsonLines(rows.slice(0, 1))), gzipSync(jsonLines(rows.slice(1)))])],
    ['x.parquet', parquet(rows)],
    ['x.parquet.gz', gzipSync(parquet(rows))],
    ['x.parquet.zst', zstd('rows.parquet')],
    ['UPPER.JSONL.GZ', gzipSync(jsonLines(rows))],
  ])('%s gives the documents with their labels, file and line', async (name, content) => {
    const { documents, stats } = await readCorpus(corpusFolder({ [name]: content }), { idField: 'id' });
    expect(documents).toEqual(rows.map((row, index) => ({ ...row, file: name, line: index + 1 })));
    expect(stats).toEqual({ documents: 3, empty: 0, bad: 0, samples: [] });
  });

  it.each([
    ['x.txt', Buffer.from('Zeile 1\nZeile 2\n')],
    ['x.txt.gz', gzipSync('Zeile 1\nZeile 2\n')],
    ['x.txt.zst', zstd('lines.txt')],
    ['crlf and mark.txt', Buffer.from('\ufeffZeile 1\r\nZeile 2\r\n')],
  ])('%s is one document', async (name, content) => {
    const { documents } = await readCorpus(corpusFolder({ [name]: content }));
    expect(documents).toMatchObject([{ text: 'Zeile 1\nZeile 2\n', file: name, line: 1, lang: '', source: '' }]);
  });

  it('lines of megabytes, longer than any read, come whole', async () => {
    const long = Array.from({ length: 3 }, (_, index) => ({ text: `${'äöü '.repeat(400_000)}${index}` }));
    expect(await texts(corpusFolder({ 'x.jsonl.zst': zstd('long-lines.jsonl'), 'y.jsonl': jsonLines(long) }))).toEqual([...long, ...long].map((row) => row.text));
  });

  it('a byte-order mark, CRLF, blank lines and a last line without an end are fine', async () => {
    const content = `\ufeff${jsonLines(rows.slice(0, 2), '\r\n')}\r\n\n  \n${JSON.stringify(rows[2])}`;
    const { documents } = await readCorpus(corpusFolder({ 'x.jsonl': content }), { idField: 'id' });
    expect(documents.map(({ id, line }) => [id, line])).toEqual([['a', 1], ['b', 2], ['c', 6]]);
  });

  it('fields have the names the configuration gives', async () => {
    const folder = corpusFolder({ 'x.jsonl': jsonLines([{ content: 'hello', key: 7, language: 'en', origin: 'web' }]) });
    const { documents } = await readCorpus(folder, { textField: 'content', idField: 'key', langField: 'language', sourceField: 'origin' });
    expect(documents).toEqual([{ id: '7', text: 'hello', lang: 'en', source: 'web', file: 'x.jsonl', line: 1 }]);
  });

  it('without an id field the id is the beginning of the text’s SHA-256', async () => {
    const { documents } = await readCorpus(corpusFolder({ 'x.jsonl': jsonLines(rows) }));
    expect(documents[0]?.id).toBe(createHash('sha256').update('Grüße aus Köln').digest('hex').slice(0, 16));
  });

  it('empty documents are passed over and counted', async () => {
    const { stats } = await readCorpus(corpusFolder({ 'x.jsonl': jsonLines([{ text: '' }, { text: 'x' }]), 'y.txt': '' }));
    expect(stats).toMatchObject({ documents: 1, empty: 2, bad: 0 });
  });
});

describe('bad lines', () => {
  const bad: [what: string, line: Uint8Array, message: RegExp][] = [
    ['no JSON', Buffer.from('{"text": "cut of'), /x\.jsonl:2: not JSON: /],
    ['an array', Buffer.from('["text"]'), /x\.jsonl:2: not a JSON object but an array/],
    ['no text field', Buffer.from('{"body": "x", "url": "y"}'), /x\.jsonl:2: no field "text"; its fields are body, url/],
    ['text that is a number', Buffer.from('{"text": 12}'), /x\.jsonl:2: field "text" is not a string but 12/],
    ['half a surrogate pair', Buffer.from('{"text": "a\\ud83d"}'), /x\.jsonl:2: field "text" holds half a surrogate pair at character 1/],
    // The first line has 13 bytes; the text begins at byte 10 of the second.
    ['Latin-1 bytes', Buffer.from('{"text": "Köln"}', 'latin1'), /x\.jsonl:2: invalid UTF-8 at byte offset 24 \(0xF6\)/],
    ['a character cut at the end', Buffer.concat([Buffer.from('{"text": "ab'), Buffer.from([0xe6, 0x97])]), /x\.jsonl:2: invalid UTF-8 at byte offset 25 \(0xE6\)/],
  ];

  it.each(bad)('%s refuses the shard, naming file, line and what', async (_, line, message) => {
    const folder = corpusFolder({ 'x.jsonl': Buffer.concat([Buffer.from('{"text":"x"}\n'), line, Buffer.from('\n{"text":"y"}\n')]) });
    const refusal = await readCorpus(folder).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(UserError);
    expect((refusal as UserError).message).toMatch(message);
    expect((refusal as UserError).message).toMatch(/^1 of 3 lines are bad/);
    expect((refusal as UserError).remedy).toMatch(/corpus\.maxBadFraction 0\.33/);
  });

  it('up to maxBadFraction they are left out, counted, and the first ones sampled', async () => {
    const folder = corpusFolder({ 'x.jsonl': `${'oops\n'.repeat(7)}${jsonLines(rows)}` });
    const { documents, stats } = await readCorpus(folder, { maxBadFraction: 0.7 });
    expect(documents).toHaveLength(3);
    expect(stats).toMatchObject({ documents: 3, bad: 7 });
    expect(stats.samples.map(({ line }) => line)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(stats.samples[4]).toMatchObject({ file: 'x.jsonl', reason: expect.stringMatching(/^not JSON/) as string, beginning: 'oops' });
    await expect(readCorpus(folder, { maxBadFraction: 0.69 })).rejects.toThrow(/7 of 10 lines are bad, more than corpus\.maxBadFraction 0\.69/);
  });

  it('a text file that is no UTF-8 is told with its byte', async () => {
    await expect(readCorpus(corpusFolder({ 'x.txt': Buffer.from('Stra\xdfe', 'latin1') }))).rejects.toThrow(/x\.txt:1: invalid UTF-8 at byte offset 4 \(0xDF\)/);
  });

  it('a Parquet value that is no UTF-8, or null, is a bad row', async () => {
    const column = { name: 'text', data: [Buffer.from('good'), Buffer.from([0x61, 0xff]), null], nullable: true };
    const schema = [{ name: 'root', num_children: 1 }, { name: 'text', type: 'BYTE_ARRAY' as const, repetition_type: 'OPTIONAL' as const, converted_type: 'UTF8' as const }];
    const folder = corpusFolder({ 'x.parquet': new Uint8Array(parquetWriteBuffer({ columnData: [column], schema })) });
    const { documents, stats } = await readCorpus(folder, { maxBadFraction: 1 });
    expect(documents.map((document) => document.text)).toEqual(['good']);
    expect(stats.samples[0]).toEqual({ file: 'x.parquet', line: 2, reason: 'field "text": invalid UTF-8 at byte offset 1 (0xFF)', beginning: '{"text":"a\\\\xFF"}' });
    expect(stats.samples[1]).toMatchObject({ line: 3, reason: expect.stringMatching(/"text".*null/) as string, beginning: '{"text":null}' });
  });
});

describe('bad files', () => {
  it('a Parquet file without the column is refused with its columns', async () => {
    const folder = corpusFolder({ 'x.parquet': parquet([{ body: 'x', url: 'y' }]) });
    await expect(readCorpus(folder)).rejects.toThrow(/x\.parquet: no column "text"; its columns are body, url/);
  });

  it.each([
    ['x.jsonl.gz', gzipSync(jsonLines(rows)).subarray(0, 60)],
    ['x.jsonl.zst', zstd('rows.jsonl').subarray(0, 60)],
    ['no.jsonl.gz', Buffer.from('this is no gzip')],
    ['no.jsonl.zst', Buffer.from('this is no zstandard')],
    ['cut.parquet', parquet(rows).subarray(0, 60)],
  ])('%s that is cut short or something else is refused by name', async (name, content) => {
    const folder = corpusFolder({ [name]: content });
    const refusal = await readCorpus(folder).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(UserError);
    expect((refusal as UserError).message).toContain(path.join(folder, name));
  });

  it('a corpus without documents is refused', () => {
    expect(() => requireDocuments(0, [{ name: 'x.jsonl' }])).toThrow(/no documents: 1 files \(x\.jsonl\)/);
    expect(() => requireDocuments(1, [])).not.toThrow();
  });
});
