// Datasets of the Hugging Face hub, from a server on this machine that speaks its protocol and breaks on purpose.
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { resolveCorpusFiles } from '../../data/corpusFiles.ts';
import { planCorpusShards } from '../../data/corpusShards.ts';
import { defaultReadOptions, emptyReadStats, readDocuments, type Document } from '../../data/documents.ts';
import { hubUri, parseHubUri } from '../../data/hubUri.ts';
import { ChangedContent, RemoteTrouble, type Patience } from '../../data/patience.ts';
import { UserError } from '../../schemas/errors.ts';
import { jsonLines } from './corpusFixtures.ts';
import { commitName, startHubServer, type HubServer } from './hubServer.ts';

const patience: Patience = { tries: 4, firstPauseMs: 5, maxPauseMs: 20, idleMs: 2_000 };
const texts = Array.from({ length: 400 }, (_, index) => ({ id: `d${index}`, text: `Dokument ${index}: ${createHash('sha256').update(String(index)).digest('hex')} äöü`, lang: 'de', source: 'made' }));
const lines = Buffer.from(jsonLines(texts));
const table = (rows: typeof texts, ballast = '') => {
  const columns = ['id', 'text', 'lang', 'source'] as const;
  const data = columns.map((name) => ({ name, data: rows.map((row) => row[name]), type: 'STRING' as const }));
  return new Uint8Array(parquetWriteBuffer({ rowGroupSize: 100, codec: 'UNCOMPRESSED', columnData: ballast === '' ? data : [...data, { name: 'html', data: rows.map((_, index) => ballast.repeat(20) + index), type: 'STRING' as const }] }));
};
const first = commitName('first');
const second = commitName('second');

let hub: HubServer;
let cache: string;
const before = { ...process.env };

beforeAll(async () => {
  hub = await startHubServer();
  Object.assign(process.env, { HF_ENDPOINT: hub.endpoint, HF_HOME: '/nonexistent' });
  for (const name of ['HF_TOKEN', 'HF_TOKEN_PATH', 'HUGGING_FACE_HUB_TOKEN', 'HF_HUB_OFFLINE', 'SAEFLOW_CORPUS_CACHE_BYTES']) delete process.env[name];
});
afterAll(async () => {
  process.env = before;
  await hub.stop();
});
beforeEach(() => {
  cache = mkdtempSync(path.join(os.tmpdir(), 'saeflow-hub-cache-'));
  process.env['SAEFLOW_CACHE_DIR'] = cache;
  delete process.env['HF_TOKEN'];
  Object.assign(hub, { faults: [], seen: [], pageSize: 1_000 });
  hub.datasets = {
    'owner/set': {
      refs: { main: first, 'refs/convert/parquet': second },
      commits: {
        [first]: { 'README.md': Buffer.from('# set'), 'data/a.jsonl': lines, 'data/b.jsonl.gz': gzipSync(lines), 'data/deep/c.parquet': table(texts), 'wide.parquet': table(texts, 'ballast '.repeat(20)), 'small.txt': Buffer.from('ein Text') },
        [second]: { 'default/train/0000.parquet': table(texts.slice(0, 200)), 'default/train/0001.parquet': table(texts.slice(200)) },
      },
    },
  };
  return () => rmSync(cache, { recursive: true, force: true });
});

const resolve = (pattern: string) => resolveCorpusFiles([pattern], '/', 2 ** 12, patience);

async function read(files: Awaited<ReturnType<typeof resolve>>, shardBytes = 2 ** 20): Promise<Document[]> {
  const documents: Document[] = [];
  for (const shard of planCorpusShards(files, shardBytes)) {
    const idField = shard.parts[0]!.path.endsWith('.txt') ? undefined : 'id';
    for await (const document of readDocuments(shard, { ...defaultReadOptions, idField, patience }, emptyReadStats())) documents.push(document);
  }
  return documents;
}

const readAll = async (pattern: string, shardBytes?: number) => read(await resolve(pattern), shardBytes);
const asRead = (name: string) => texts.map((row, index) => ({ ...row, file: `owner/set/${name}`, line: index + 1 }));

async function refusal(work: Promise<unknown>): Promise<UserError> {
  const error = await work.catch((cause: unknown) => cause);
  expect(error).toBeInstanceOf(UserError);
  return error as UserError;
}

describe('names of datasets', () => {
  it.each([
    ['hf://datasets/owner/set', { repo: 'owner/set', revision: 'main', path: '' }],
    ['hf://datasets/owner/set/', { repo: 'owner/set', revision: 'main', path: '' }],
    ['hf://datasets/owner/set@v1.0/a/*.parquet', { repo: 'owner/set', revision: 'v1.0', path: 'a/*.parquet' }],
    ['hf://datasets/owner/set@a%2Fb/x.txt', { repo: 'owner/set', revision: 'a/b', path: 'x.txt' }],
    ['hf://datasets/owner/set@refs/pr/12/x.txt', { repo: 'owner/set', revision: 'refs/pr/12', path: 'x.txt' }],
    ['hf://datasets/owner/set@refs/convert/parquet/default/**', { repo: 'owner/set', revision: 'refs/convert/parquet', path: 'default/**' }],
    ['hf://datasets/owner/set@~parquet/default/**', { repo: 'owner/set', revision: 'refs/convert/parquet', path: 'default/**' }],
  ])('%s is read as huggingface reads it', (uri, location) => {
    expect(parseHubUri(uri)).toEqual(location);
    expect(parseHubUri(hubUri(location))).toEqual(location);
  });

  it.each(['hf://owner/model', 'hf://datasets/squad', 'hf://spaces/a/b', 'hf://datasets/'])('%s is refused with the form to use', (uri) => {
    expect(() => parseHubUri(uri)).toThrow(/names no dataset/);
  });
});

describe('listing', () => {
  it('pins the revision to its commit, over as many pages as there are', async () => {
    hub.pageSize = 2;
    const files = await resolve('hf://datasets/owner/set/**/*.{jsonl.gz,parquet}');
    expect(files.map(({ path: uri, name }) => [uri, name])).toEqual([
      [`hf://datasets/owner/set@${first}/data/b.jsonl.gz`, 'owner/set/data/b.jsonl.gz'],
      [`hf://datasets/owner/set@${first}/data/deep/c.parquet`, 'owner/set/data/deep/c.parquet'],
      [`hf://datasets/owner/set@${first}/wide.parquet`, 'owner/set/wide.parquet'],
    ]);
    expect(files.map(({ sha256 }) => sha256)).toEqual([gzipSync(lines), table(texts), table(texts, 'ballast '.repeat(20))].map((bytes) => createHash('sha256').update(bytes).digest('hex')));
    // The hub states sizes and hashes: not a byte of these files was read.
    expect(hub.seen.every(({ path: asked }) => asked.startsWith('/api/'))).toBe(true);
    expect(hub.seen.filter(({ path: asked }) => asked.includes('/tree/')).length).toBeGreaterThan(2);
  });

  it.each([
    ['hf://datasets/owner/set@~parquet', ['owner/set/default/train/0000.parquet', 'owner/set/default/train/0001.parquet']],
    ['hf://datasets/owner/set/data', ['owner/set/data/deep/c.parquet']],
    ['hf://datasets/owner/set/small.txt', ['owner/set/small.txt']],
    ['hf://datasets/owner/set/data/*', ['owner/set/data/a.jsonl', 'owner/set/data/b.jsonl.gz']],
  ])('%s is its pattern, its file, or a folder’s Parquet files', async (pattern, names) => {
    expect((await resolve(pattern)).map(({ name }) => name)).toEqual(names);
  });

  it('files that git itself keeps, and plain JSON lines, are read once for hash and line counts, and not again', async () => {
    const [small] = await resolve('hf://datasets/owner/set/small.txt');
    expect(small?.sha256).toBe(createHash('sha256').update('ein Text').digest('hex'));
    const [plain] = await resolve('hf://datasets/owner/set/data/a.jsonl');
    expect(plain?.lineMarks.length).toBeGreaterThan(5);
    const reads = () => hub.seen.filter(({ path: asked }) => asked.includes('/resolve/')).length;
    const once = reads();
    expect(await resolve('hf://datasets/owner/set/data/a.jsonl')).toEqual([plain]);
    expect(reads()).toBe(once);
  });

  it('a pattern without files names the converted branch', async () => {
    const { message, remedy } = await refusal(resolve('hf://datasets/owner/set/*.zst'));
    expect(message).toContain('matches no .parquet, .jsonl or .txt file');
    expect(remedy).toContain('hf://datasets/owner/set@~parquet');
  });
});

describe('reading', () => {
  it.each(['data/a.jsonl', 'data/b.jsonl.gz', 'data/deep/c.parquet', 'wide.parquet'])('%s gives the documents with names and lines', async (name) => {
    expect(await readAll(`hf://datasets/owner/set/${name}`)).toEqual(asRead(name));
  });

  it('shards of a plain file ask for their own bytes only', async () => {
    const files = await resolve('hf://datasets/owner/set/data/a.jsonl');
    hub.seen = [];
    expect(await read(files, 10_000)).toEqual(asRead('data/a.jsonl'));
    const ranges = hub.seen.filter(({ host, range }) => host === 'cdn' && range !== 'bytes=0-').length;
    expect(ranges).toBeGreaterThanOrEqual(5);
  });

  it('a branch that moves after the listing changes nothing', async () => {
    const files = await resolve('hf://datasets/owner/set@main/data/deep/c.parquet');
    hub.datasets['owner/set']!.commits[second] = { 'data/deep/c.parquet': table(texts.slice(0, 3)) };
    hub.datasets['owner/set']!.refs['main'] = second;
    expect(await read(files)).toEqual(asRead('data/deep/c.parquet'));
    expect((await resolve('hf://datasets/owner/set@main/data/deep/c.parquet'))[0]?.path).toContain(second);
  });

  it('a commit that a force-push removed is told, with what to do', async () => {
    const files = await resolve('hf://datasets/owner/set/data/b.jsonl.gz');
    hub.datasets['owner/set']!.commits = { [second]: {} };
    const { message, remedy } = await refusal(read(files));
    expect(message).toContain(`has no revision ${first}`);
    expect(remedy).toMatch(/force-push.*Start the run again/);
  });

  it('a file that a second run needs comes from the cache, unless it was damaged there', async () => {
    const files = await resolve('hf://datasets/owner/set/data/deep/c.parquet');
    await read(files);
    const fetches = () => hub.seen.filter(({ host, range }) => host === 'cdn' && range?.startsWith('bytes=0-') === true).length;
    const kept = path.join(cache, 'corpus', 'files', files[0]!.sha256);
    const once = fetches();
    expect(await read(files)).toEqual(asRead('data/deep/c.parquet'));
    expect(readdirSync(path.dirname(kept))).toEqual([files[0]!.sha256]);
    writeFileSync(kept, 'rot');
    expect(await read(files)).toEqual(asRead('data/deep/c.parquet'));
    expect(fetches()).toBeGreaterThan(once);
  });

  it('the cache holds no more than it may, least recently used first, and 0 keeps nothing', async () => {
    const [one, two] = await resolve('hf://datasets/owner/set@~parquet');
    process.env['SAEFLOW_CORPUS_CACHE_BYTES'] = String(Math.max(one!.bytes, two!.bytes) + 10);
    try {
      expect([...(await read([one!])), ...(await read([two!]))].map(({ text }) => text)).toEqual(texts.map(({ text }) => text));
      expect(readdirSync(path.join(cache, 'corpus', 'files'))).toEqual([two!.sha256]);
      process.env['SAEFLOW_CORPUS_CACHE_BYTES'] = '0';
      expect(await read([one!])).toHaveLength(200);
      expect(readdirSync(path.join(cache, 'corpus', 'files'))).toEqual([two!.sha256]);
    } finally {
      delete process.env['SAEFLOW_CORPUS_CACHE_BYTES'];
    }
  });

  it('of a Parquet file most of which nobody asked for, the wanted columns alone are fetched', async () => {
    const [wide] = await resolve('hf://datasets/owner/set/wide.parquet');
    hub.seen = [];
    await read([wide!]);
    const asked = hub.seen.flatMap(({ host, range }) => (host === 'cdn' ? [/bytes=(\d+)-(\d+)/.exec(range ?? '')!] : [])).map(([, from, to]) => Number(to) - Number(from) + 1);
    const footer = asked[0]!;
    expect(asked.slice(1).reduce((sum, bytes) => sum + bytes, 0)).toBeLessThan(wide!.bytes / 4);
    expect(footer).toBeLessThanOrEqual(2 ** 19);
  });
});

describe('a hub that breaks', () => {
  const name = 'data/b.jsonl.gz';
  const file = `hf://datasets/owner/set/${name}`;

  it.each<[string, Parameters<typeof hub.faults.push>]>([
    ['429 with Retry-After', [{ host: 'hub', on: '/revision/', fault: { kind: 'status', status: 429, headers: { 'retry-after': '1' } } }]],
    ['429 with its RateLimit header', [{ host: 'hub', on: '/tree/', fault: { kind: 'status', status: 429, headers: { ratelimit: '"api";r=0;t=1' } } }]],
    ['500, 502 and 503', [500, 502, 503].map((status) => ({ host: 'hub', on: '/resolve/', fault: { kind: 'status', status } }) as const)],
    ['a CDN address that has run out', [{ host: 'cdn', on: 'blob', fault: { kind: 'status', status: 403 } }]],
    ['a body cut short', [{ host: 'cdn', on: 'blob', fault: { kind: 'truncate', sent: 1_000 } }]],
    ['a connection reset in the body', [{ host: 'cdn', on: 'blob', fault: { kind: 'reset', sent: 3_000 } }]],
    ['a body that stands still', [{ host: 'cdn', on: 'blob', fault: { kind: 'stall', sent: 2_000 } }]],
    ['a CDN that ignores ranges', [{ host: 'cdn', on: 'blob', fault: { kind: 'reset', sent: 3_000 } }, { host: 'cdn', on: 'blob', fault: { kind: 'ignoreRange' } }]],
    ['many breaks, each after some bytes', Array.from({ length: 12 }, () => ({ host: 'cdn', on: 'blob', fault: { kind: 'truncate', sent: 500 } }) as const)],
  ])('%s: the same documents', async (_, faults) => {
    hub.faults = [...faults];
    expect(await readAll(file)).toEqual(asRead(name));
    expect(hub.faults).toEqual([]);
  });

  it('waits as long as the hub asks', async () => {
    const files = await resolve(file);
    hub.faults = [{ host: 'hub', on: '/resolve/', fault: { kind: 'status', status: 429, headers: { 'retry-after': '1' } } }];
    const began = performance.now();
    await read(files);
    expect(performance.now() - began).toBeGreaterThanOrEqual(1_000);
  });

  it('goes on at the byte where it broke', async () => {
    const files = await resolve(file);
    hub.faults = [{ host: 'cdn', on: 'blob', fault: { kind: 'reset', sent: 3_000 } }];
    hub.seen = [];
    await read(files);
    const starts = hub.seen.filter(({ host }) => host === 'cdn').map(({ range }) => Number(/bytes=(\d+)-/.exec(range ?? '')?.[1]));
    expect(starts[0]).toBe(0);
    expect(starts[1]).toBe(3_000);
  });

  it.each(['data/b.jsonl.gz', 'data/deep/c.parquet', 'small.txt'])('%s with a byte changed on the way is not taken', async (damaged) => {
    const files = await resolve(`hf://datasets/owner/set/${damaged}`);
    // A Parquet file's footer is fetched first.
    if (damaged.endsWith('parquet')) hub.faults.push({ host: 'cdn', on: 'blob', fault: { kind: 'ignoreRange' } });
    hub.faults.push({ host: damaged === 'small.txt' ? 'hub' : 'cdn', on: damaged === 'small.txt' ? '/resolve/' : 'blob', fault: { kind: 'flip' } });
    await expect(read(files)).rejects.toThrow(/SHA-256|incorrect data check/);
    expect(await read(files)).not.toEqual([]);
  });

  it.each<[string, Parameters<typeof hub.faults.push>]>([
    ['small.txt', [{ host: 'hub', on: '/resolve/', fault: { kind: 'truncate', sent: 3 } }, { host: 'hub', on: '/resolve/', fault: { kind: 'tag' } }]],
    ['data/b.jsonl.gz', [{ host: 'hub', on: '/resolve/', fault: { kind: 'none' } }, { host: 'cdn', on: 'blob', fault: { kind: 'reset', sent: 3_000 } }, { host: 'hub', on: '/resolve/', fault: { kind: 'tag' } }]],
  ])('%s whose tag changes before a resumption is not taken', async (changed, faults) => {
    const files = await resolve(`hf://datasets/owner/set/${changed}`);
    hub.faults = [...faults];
    await expect(read(files)).rejects.toBeInstanceOf(ChangedContent);
    expect(hub.faults).toEqual([]);
  });

  it('that stays away ends with an error that Temporal retries', async () => {
    const files = await resolve(file);
    hub.faults = Array.from({ length: 4 }, () => ({ host: 'hub', on: '/resolve/', fault: { kind: 'status', status: 503 } }) as const);
    await expect(read(files)).rejects.toBeInstanceOf(RemoteTrouble);
    process.env['HF_ENDPOINT'] = 'http://127.0.0.1:9';
    try {
      await expect(resolve(file)).rejects.toThrow(/127\.0\.0\.1:9 can't be reached/);
    } finally {
      process.env['HF_ENDPOINT'] = hub.endpoint;
    }
  });
});

describe('who may read', () => {
  it('the token goes to the hub, and never to the host it redirects to', async () => {
    hub.datasets['owner/set']!.token = 'hf_secret';
    process.env['HF_TOKEN'] = 'hf_secret';
    expect(await readAll('hf://datasets/owner/set/data/b.jsonl.gz')).toEqual(asRead('data/b.jsonl.gz'));
    const sent = (host: string) => hub.seen.filter((request) => request.host === host).map(({ authorization }) => authorization);
    expect(new Set(sent('hub'))).toEqual(new Set(['Bearer hf_secret']));
    expect(sent('cdn').length).toBeGreaterThan(0);
    expect(sent('cdn').every((authorization) => authorization === undefined)).toBe(true);
  });

  it('a token may be in the file that `hf auth login` writes', async () => {
    hub.datasets['owner/set']!.token = 'hf_filed';
    writeFileSync(path.join(cache, 'token'), 'hf_filed\n');
    process.env['HF_TOKEN_PATH'] = path.join(cache, 'token');
    try {
      expect(await resolve('hf://datasets/owner/set/data/b.jsonl.gz')).toHaveLength(1);
    } finally {
      delete process.env['HF_TOKEN_PATH'];
    }
  });

  it.each<[string, string | undefined, (set: HubServer['datasets'][string]) => void, RegExp, RegExp]>([
    ['a private dataset without a token', undefined, (set) => (set.token = 'hf_other'), /no token was given/, /HF_TOKEN/],
    ['a private dataset with another’s token', 'hf_mine', (set) => (set.token = 'hf_other'), /may not read it/, /HF_TOKEN/],
    ['a gated dataset without a token', undefined, (set) => Object.assign(set, { token: 'hf_other', isGated: true }), /is gated: no token was given/, /Accept its terms at .*\/datasets\/owner\/set/],
    ['a gated dataset that has not let the account in', 'hf_mine', (set) => Object.assign(set, { token: 'hf_other', isGated: true }), /is gated: the token's account has not been let in/, /Accept its terms/],
    ['a token that is none', 'nonsense', () => undefined, /refuses the token/, /valid token/],
  ])('%s is refused at once, with what to do', async (_, token, change, message, remedy) => {
    change(hub.datasets['owner/set']!);
    if (token !== undefined) process.env['HF_TOKEN'] = token;
    const refused = await refusal(resolve('hf://datasets/owner/set/**/*.parquet'));
    expect(refused.message).toMatch(message);
    expect(refused.remedy).toMatch(remedy);
    expect(refused.message + refused.remedy).not.toContain('hf_mine');
    expect(hub.seen.length).toBeLessThanOrEqual(2);
  });

  it.each([
    ['hf://datasets/owner/nothing', /no dataset owner\/nothing/],
    ['hf://datasets/owner/set@v9/*.txt', /has no revision v9/],
    ['hf://datasets/owner/set/no/*.txt', /is not in the dataset/],
  ])('%s is told', async (pattern, message) => {
    expect((await refusal(resolve(pattern))).message).toMatch(message);
  });

  it('HF_HUB_OFFLINE is honoured', async () => {
    process.env['HF_HUB_OFFLINE'] = '1';
    try {
      expect((await refusal(resolve('hf://datasets/owner/set'))).remedy).toContain('download the files');
    } finally {
      delete process.env['HF_HUB_OFFLINE'];
    }
    expect(hub.seen).toEqual([]);
  });
});
