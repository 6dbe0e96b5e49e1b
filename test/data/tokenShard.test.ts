// A token shard against what went in: tokens, index, split; and that damage is noticed.
import { parquetReadObjects } from 'hyparquet';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { describe, expect, it } from 'vitest';
import { resolveCorpusFiles } from '../../data/corpusFiles.ts';
import { planCorpusShards } from '../../data/corpusShards.ts';
import { defaultReadOptions, readDocuments } from '../../data/documents.ts';
import type { Document } from '../../data/documents.ts';
import { decodeTokens, encodeTokenShard, readDocumentIndex, splitOf } from '../../data/tokenShard.ts';
import type { TokenShard } from '../../data/tokenShard.ts';
import { createTokenizer } from '../../data/tokenizer.ts';
import { UserError } from '../../schemas/errors.ts';
import { corpusFolder, jsonLines } from './corpusFixtures.ts';

const tokenizer = createTokenizer(8_192);
const options = { heldOutFraction: 0.25, splitSeed: 2357 };
const words = ['Haus', 'дом', '家', 'maison', 'const x = 1;\n', '<|endoftext|>', ' and '];
const rows = Array.from({ length: 200 }, (_, i) => ({
  text: Array.from({ length: 1 + (i % 40) }, (_, j) => words[(i * 7 + j * 3) % words.length]).join(' ') + i,
  lang: ['de', 'ru', 'ja'][i % 3],
  source: `book ${i % 2}`,
}));

async function encodeAll(shardBytes: number): Promise<TokenShard[]> {
  const folder = corpusFolder({ 'corpus.jsonl': jsonLines(rows) });
  const shards = planCorpusShards(await resolveCorpusFiles(['corpus.jsonl'], folder), shardBytes);
  return Promise.all(shards.map((shard) => encodeTokenShard(readDocuments(shard, defaultReadOptions), tokenizer, options)));
}

async function* documents(...list: Document[]): AsyncGenerator<Document> {
  yield* list;
}

describe('a shard', () => {
  it('leads from the index to tokens that decode to each document’s text, with an end of text last', async () => {
    const [shard] = (await encodeAll(2 ** 30)) as [TokenShard];
    const bins = { train: decodeTokens(shard.train, 8_192), heldOut: decodeTokens(shard.heldOut, 8_192) };
    const index = await readDocumentIndex(shard.documents);
    expect(index).toHaveLength(rows.length);
    index.forEach((row, i) => {
      const tokens = bins[row.split].subarray(row.start, row.start + row.length);
      expect(tokens.at(-1)).toBe(tokenizer.eot);
      expect(tokenizer.decode(tokens.subarray(0, -1))).toBe(rows[i]?.text);
      expect(row).toMatchObject({ lang: rows[i]?.lang, source: rows[i]?.source, file: 'corpus.jsonl', line: i + 1 });
    });
  });

  it('is the tokens of all documents one after the other, 2 bytes each, low byte first', async () => {
    const [shard] = (await encodeAll(2 ** 30)) as [TokenShard];
    const expected = { train: [] as number[], heldOut: [] as number[] };
    for (const row of await readDocumentIndex(shard.documents)) {
      expected[row.split].push(...tokenizer.encode(rows[row.line - 1]?.text ?? ''), tokenizer.eot);
    }
    for (const split of ['train', 'heldOut'] as const) {
      const view = new DataView(shard[split].buffer, shard[split].byteOffset, shard[split].byteLength);
      expect(Array.from({ length: view.byteLength / 2 }, (_, i) => view.getUint16(2 * i, true))).toEqual(expected[split]);
    }
  });

  it('counts what it holds', async () => {
    const [{ counts, train, heldOut, documents: index }] = (await encodeAll(2 ** 30)) as [TokenShard];
    const table = await readDocumentIndex(index);
    expect(counts).toMatchObject({
      documents: 200,
      trainDocuments: table.filter((row) => row.split === 'train').length,
      heldOutDocuments: table.filter((row) => row.split === 'heldOut').length,
      trainTokens: train.byteLength / 2,
      heldOutTokens: heldOut.byteLength / 2,
      textBytes: rows.reduce((total, row) => total + Buffer.byteLength(row.text), 0),
    });
    const german = rows.filter((row) => row.lang === 'de');
    expect(counts.byLang['de']).toEqual({
      documents: german.length,
      tokens: table.filter((row) => row.lang === 'de').reduce((total, row) => total + row.length, 0),
      textBytes: german.reduce((total, row) => total + Buffer.byteLength(row.text), 0),
    });
  });

  it('has the same bytes when it is made again', async () => {
    expect(await encodeAll(5_000)).toEqual(await encodeAll(5_000));
  });

  it('may be empty', async () => {
    const shard = await encodeTokenShard(documents(), tokenizer, options);
    expect(shard.train).toHaveLength(0);
    expect(await readDocumentIndex(shard.documents)).toEqual([]);
  });

  it('grows past its first buffer', async () => {
    const text = 'word '.repeat(100_000);
    const list = Array.from({ length: 3 }, (_, line): Document => ({ id: String(line), text, lang: '', source: '', file: 'f', line: line + 1 }));
    const shard = await encodeTokenShard(documents(...list), tokenizer, { ...options, heldOutFraction: 0 });
    const tokens = decodeTokens(shard.train, 8_192);
    const third = tokens.length / 3;
    expect(tokenizer.decode(tokens.subarray(2 * third, -1))).toBe(text);
  });

  it('has an index of plain Parquet columns', async () => {
    const [shard] = (await encodeAll(2 ** 30)) as [TokenShard];
    const [row] = await parquetReadObjects({ file: shard.documents.buffer.slice(0) as ArrayBuffer });
    expect(Object.keys(row ?? {})).toEqual(['id', 'split', 'start', 'length', 'lang', 'source', 'file', 'line']);
    expect(typeof row?.['start']).toBe('number');
  });
});

describe('the split', () => {
  it('puts each document on the same side however the corpus is cut', async () => {
    const sides = async (shardBytes: number) => {
      const shards = await encodeAll(shardBytes);
      const index = (await Promise.all(shards.map((shard) => readDocumentIndex(shard.documents)))).flat();
      return { shards: shards.length, sides: index.map((row) => [row.line, row.id, row.split]) };
    };
    const whole = await sides(2 ** 30);
    const cut = await sides(700);
    expect(cut.shards).toBeGreaterThan(10);
    expect(cut.sides).toEqual(whole.sides);
  });

  it('holds out about the fraction, other documents under another seed, none at 0 and all at 1', () => {
    const heldOut = (heldOutFraction: number, splitSeed: number) =>
      Array.from({ length: 20_000 }, (_, i) => String(i)).filter((id) => splitOf(id, { heldOutFraction, splitSeed }) === 'heldOut');
    // Four standard deviations of a binomial of 20,000 draws at 0.05 are 0.0062.
    expect(Math.abs(heldOut(0.05, 1).length / 20_000 - 0.05)).toBeLessThan(0.0062);
    expect(heldOut(0.05, 1)).not.toEqual(heldOut(0.05, 2));
    expect(heldOut(0, 1)).toHaveLength(0);
    expect(heldOut(1, 1)).toHaveLength(20_000);
  });

  it('is pinned: ids that were held out stay held out in every version', () => {
    const ids = Array.from({ length: 40 }, (_, i) => `document-${i}`);
    expect(ids.filter((id) => splitOf(id, { heldOutFraction: 0.1, splitSeed: 2357 }) === 'heldOut')).toEqual(PINNED);
  });
});

/** By Python: [i for i in range(40) if int.from_bytes(hashlib.sha256(f'2357:document-{i}'.encode()).digest()[:6], 'big') / 2**48 < 0.1] */
const PINNED = ['document-14', 'document-23', 'document-35', 'document-38'];

describe('damage', () => {
  it('a token file of odd length is refused', () => {
    expect(() => decodeTokens(new Uint8Array(3), 8_192)).toThrow(/3 bytes is no whole number of 2-byte ids/);
    expect(() => decodeTokens(new Uint8Array(6), 100_000)).toThrow(/no whole number of 4-byte ids/);
  });

  it('an id outside the vocabulary is refused with its place', () => {
    const bytes = new Uint8Array(Uint16Array.of(1, 8_191, 8_192).buffer);
    expect(() => decodeTokens(bytes, 8_192)).toThrow(UserError);
    expect(() => decodeTokens(bytes, 8_192)).toThrow(/token 2 of the file is id 8192, outside the vocabulary of 8192/);
    expect([...decodeTokens(bytes, 8_193)]).toEqual([1, 8_191, 8_192]);
  });

  it('ids of a vocabulary above 65,536 have 4 bytes; bytes at any offset are read', () => {
    const bytes = new Uint8Array([0xff, ...new Uint8Array(Uint32Array.of(70_000, 1).buffer)]).subarray(1);
    expect([...decodeTokens(bytes, 100_000)]).toEqual([70_000, 1]);
  });

  it('an index that is no Parquet, or has other columns, is refused', async () => {
    await expect(readDocumentIndex(Buffer.from('nothing'))).rejects.toThrow(UserError);
    const other = new Uint8Array(parquetWriteBuffer({ columnData: [{ name: 'id', data: ['a'], type: 'STRING' }] }));
    await expect(readDocumentIndex(other)).rejects.toThrow(/0\.split/);
  });
});
