// Corpora in a bucket, on a real S3 server: the same documents and the same identity as the same files on a disk.
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openStore } from '../../data/artifactStore.ts';
import { resolveCorpusFiles } from '../../data/corpusFiles.ts';
import { planCorpusShards } from '../../data/corpusShards.ts';
import { defaultReadOptions, readDocuments, type Document } from '../../data/documents.ts';
import { ChangedContent, RemoteTrouble, type Patience } from '../../data/patience.ts';
import { UserError } from '../../schemas/errors.ts';
import { startS3Server, type RunningS3Server } from '../../setup/s3Server.ts';
import { corpusFolder, jsonLines } from './corpusFixtures.ts';
import { startFlakyProxy, type FlakyProxy } from './flakyProxy.ts';

const patience: Patience = { tries: 2, firstPauseMs: 5, maxPauseMs: 20, idleMs: 5_000 };
const rows = Array.from({ length: 300 }, (_, index) => ({ text: `Dokument ${index} ${'äöü '.repeat(index % 7)}` }));
const parquet = new Uint8Array(parquetWriteBuffer({ rowGroupSize: 50, columnData: [{ name: 'text', data: rows.map(({ text }) => text), type: 'STRING' }] }));
const files = { 'set/a.jsonl': jsonLines(rows), 'set/deep/b.jsonl.gz': gzipSync(jsonLines(rows)), 'set/deep/c.parquet': parquet, 'set/d.txt': 'ein Text', 'set/a[1].txt': 'mit Klammern', 'set/notes.md': '#' };

let server: RunningS3Server;
let proxy: FlakyProxy;
let cache: string;

// The server is built on first use: several minutes on a machine whose set-up has not run.
beforeAll(async () => {
  server = await startS3Server('texts');
  cache = mkdtempSync(path.join(os.tmpdir(), 'saeflow-s3-cache-'));
  proxy = await startFlakyProxy(Number(new URL(server.endpoint).port));
  Object.assign(process.env, server.env, { SAEFLOW_CACHE_DIR: cache, AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${proxy.port}` });
  const store = openStore('s3://texts');
  for (const [name, content] of Object.entries(files)) if (!name.includes('[')) await store.put(name, Buffer.from(content));
  await store.put('elsewhere/x.txt', Buffer.from('woanders'));
}, 1_200_000);
afterAll(async () => {
  delete process.env['SAEFLOW_CACHE_DIR'];
  rmSync(cache, { recursive: true, force: true });
  await proxy.stop();
  await server.stop();
});

const resolve = (...patterns: string[]) => resolveCorpusFiles(patterns, '/', 2 ** 10, patience);

async function read(found: Awaited<ReturnType<typeof resolve>>, shardBytes: number): Promise<Document[]> {
  const documents: Document[] = [];
  for (const shard of planCorpusShards(found, shardBytes)) for await (const document of readDocuments(shard, { ...defaultReadOptions, patience })) documents.push(document);
  return documents;
}

async function refusal(work: Promise<unknown>): Promise<UserError> {
  const error = await work.catch((cause: unknown) => cause);
  expect(error).toBeInstanceOf(UserError);
  return error as UserError;
}

describe('a corpus in S3', () => {
  it('has the names, hashes, line counts and documents of the same files on a disk, however it is cut', async () => {
    const folder = corpusFolder(files);
    const patterns = ['**/*.{jsonl,gz,parquet}', 'd.txt'];
    const far = await resolve(...patterns.map((pattern) => `s3://texts/set/${pattern}`));
    const near = await resolve(...patterns.map((pattern) => `${folder}/set/${pattern}`));
    const identity = (found: typeof far) => found.map(({ name, sha256, bytes, lineMarks }) => ({ name, sha256, bytes, lineMarks }));
    expect(identity(far)).toEqual(identity(near));
    expect(far.map(({ name }) => name)).toEqual(['a.jsonl', 'd.txt', 'deep/b.jsonl.gz', 'deep/c.parquet']);
    expect(far[0]!.lineMarks.length).toBeGreaterThan(5);
    const documents = await read(near, 2 ** 20);
    expect(documents).toHaveLength(901);
    for (const shardBytes of [1_500, 2 ** 20]) expect(await read(far, shardBytes)).toEqual(documents);
  });

  it('may be one object, or a pattern in the middle', async () => {
    expect((await resolve('s3://texts/set/d.txt')).map(({ name }) => name)).toEqual(['d.txt']);
    expect((await resolve('s3://texts/*/?.txt')).map(({ name }) => name)).toEqual(['elsewhere/x.txt', 'set/d.txt']);
  });

  it('is refused by name where nothing is there, or a folder, or no bucket', async () => {
    expect((await refusal(resolve('s3://texts/set/*.zst'))).message).toContain('"s3://texts/set/*.zst" matches no object');
    const folder = await refusal(resolve('s3://texts/set'));
    expect(folder.message).toContain('is a folder');
    expect(folder.remedy).toContain('s3://texts/set/**/*.jsonl');
    expect((await refusal(resolve('s3://no-such-bucket/*.txt'))).message).toContain('there is no such bucket');
    expect((await refusal(resolve('s3://texts'))).message).toContain('names no objects');
    expect((await refusal(resolve('s3://texts/set/notes.md'))).message).toContain("can't be read from this kind of file");
  });

  it('is not read on where an object was replaced or deleted after the listing', async () => {
    const store = openStore('s3://texts');
    for (const name of ['x.jsonl', 'x.jsonl.gz', 'x.parquet']) {
      const content = { 'x.jsonl': jsonLines(rows), 'x.jsonl.gz': gzipSync(jsonLines(rows)), 'x.parquet': parquet }[name]!;
      await store.put(`moving/${name}`, Buffer.from(content));
      const found = await resolve(`s3://texts/moving/${name}`);
      const other = Buffer.from(content);
      other[other.length - 3]! ^= 1;
      await store.put(`moving/${name}`, other);
      await expect(read(found, 2 ** 20)).rejects.toBeInstanceOf(ChangedContent);
      await store.delete(`moving/${name}`);
      expect((await refusal(read(found, 2 ** 20))).message).toContain('is gone');
    }
  });

  it('is hashed again only when an object changes', async () => {
    const store = openStore('s3://texts');
    const large = Array.from({ length: 2_000 }, (_, index) => ({ text: `${index} ${'x'.repeat(100)}` }));
    await store.put('again/x.jsonl', Buffer.from(jsonLines(large)));
    const once = await resolve('s3://texts/again/*');
    const before = proxy.sentBytes;
    expect(await resolve('s3://texts/again/*')).toEqual(once);
    expect(proxy.sentBytes - before).toBeLessThan(once[0]!.bytes / 10);
    await store.put('again/x.jsonl', Buffer.from(jsonLines(large.slice(1))));
    expect((await resolve('s3://texts/again/*'))[0]!.sha256).not.toBe(once[0]!.sha256);
  });

  it('is read on at the byte where a connection broke', async () => {
    const texts = Array.from({ length: 20_000 }, (_, index) => ({ text: `${index} ${'x'.repeat(100)}` }));
    await openStore('s3://texts').put('long/x.jsonl', Buffer.from(jsonLines(texts)));
    const found = await resolve('s3://texts/long/*');
    const before = proxy.sentBytes;
    proxy.cuts = [500_000, 700_000, 300_000];
    expect((await read(found, 2 ** 30)).map(({ text }) => text)).toEqual(texts.map(({ text }) => text));
    expect(proxy.cuts).toEqual([]);
    // Begun again each time, it would have been twice as much.
    expect(proxy.sentBytes - before).toBeLessThan(found[0]!.bytes * 1.3);
  });

  it('on a server that stays away ends with an error that Temporal retries', async () => {
    const found = await resolve('s3://texts/set/d.txt');
    proxy.isRefusing = true;
    try {
      await expect(read(found, 100)).rejects.toBeInstanceOf(RemoteTrouble);
      await expect(resolve('s3://texts/set/*.txt')).rejects.toBeInstanceOf(RemoteTrouble);
    } finally {
      proxy.isRefusing = false;
    }
  });
});
