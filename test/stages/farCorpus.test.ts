// Tokens of a corpus on the Hugging Face hub are those of the same files on a disk; a moved branch makes nothing anew,
// and what was left out of a corpus stands in the manifest.
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { resolveCorpus } from '../../activities/resolveCorpus.ts';
import { readManifest } from '../../data/artifact.ts';
import { openStore } from '../../data/artifactStore.ts';
import { corpusPath } from '../../data/plans.ts';
import { resolveInput } from '../../presets/resolve.ts';
import { runStage } from '../../stages/inProcess.ts';
import { corpusFolder, jsonLines } from '../data/corpusFixtures.ts';
import { commitName, startHubServer, type HubServer } from '../data/hubServer.ts';

const rows = Array.from({ length: 900 }, (_, index) => ({ id: `row-${index}`, text: `Text ${index}: ${['Grüße aus Köln', 'Привет мир', '日本語'][index % 3]}`.repeat(1 + (index % 5)), lang: 'de' }));
const column = (name: 'id' | 'text' | 'lang') => ({ name, data: rows.slice(600).map((row) => row[name]), type: 'STRING' as const });
const files = {
  'data/a.jsonl': Buffer.from(jsonLines(rows.slice(0, 300))),
  'data/b.jsonl.gz': gzipSync(jsonLines(rows.slice(300, 600))),
  'data/c.parquet': new Uint8Array(parquetWriteBuffer({ rowGroupSize: 100, columnData: [column('id'), column('text'), column('lang')] })),
};

let hub: HubServer;
let scratch: string;
const before = { ...process.env };

beforeAll(async () => {
  hub = await startHubServer();
  scratch = mkdtempSync(path.join(os.tmpdir(), 'saeflow-far-'));
  hub.datasets = { 'owner/set': { refs: { main: commitName('one') }, commits: { [commitName('one')]: { ...files, 'README.md': Buffer.from('one') } } } };
  Object.assign(process.env, { HF_ENDPOINT: hub.endpoint, HF_HOME: '/nonexistent', SAEFLOW_CACHE_DIR: path.join(scratch, 'cache') });
});
afterAll(async () => {
  process.env = before;
  await hub.stop();
  rmSync(scratch, { recursive: true, force: true });
});

const preset = resolveInput({ preset: 'tiny' });

async function tokens(name: string, paths: string[], cwd: string, maxBadFraction = 0) {
  const store = openStore(path.join(scratch, name));
  const corpus = { ...preset.corpus, paths, maxBadFraction };
  const { key } = await resolveCorpus({ store, cwd }, corpus);
  const config = { corpus, tokenize: { ...preset.tokenize, heldOutFraction: 0.1, shardBytes: 6_000 } };
  const { artifact, cached } = await runStage(store, { stage: 'tokenize', config, inputs: { corpus: key } });
  return { store, key, cached, artifact, manifest: (await readManifest(store, artifact))! };
}

const hashes = ({ manifest }: Awaited<ReturnType<typeof tokens>>) => manifest.files.filter((file) => !file.path.endsWith('documents.parquet')).map((file) => [file.path, file.sha256]);

it('tokens from the hub are those from a disk, also when the hub breaks', async () => {
  const near = await tokens('near', ['**/*'], corpusFolder(files));
  hub.faults = [
    { host: 'hub', on: '/tree/', fault: { kind: 'status', status: 503 } },
    { host: 'cdn', on: 'blob', fault: { kind: 'reset', sent: 1_000 } },
    { host: 'hub', on: '/resolve/', fault: { kind: 'status', status: 429, headers: { 'retry-after': '1' } } },
  ];
  const far = await tokens('far', ['hf://datasets/owner/set/data/*'], '/');
  expect(hub.faults).toEqual([]);
  expect(near.manifest.metrics['documents']).toBe(900);
  expect(near.manifest.shards.total).toBeGreaterThan(4);
  expect(hashes(far)).toEqual(hashes(near));
  expect(far.manifest.metrics).toEqual(near.manifest.metrics);
});

it('a branch that moves on without touching the files finds the tokens made; the list names the newer commit', async () => {
  const first = await tokens('moved', ['hf://datasets/owner/set/data/*'], '/');
  hub.datasets['owner/set']!.commits[commitName('two')] = { ...files, 'README.md': Buffer.from('two') };
  hub.datasets['owner/set']!.refs['main'] = commitName('two');
  const second = await tokens('moved', ['hf://datasets/owner/set@main/data/*'], '/');
  expect(second).toMatchObject({ key: first.key, cached: true });
  expect(Buffer.from(await second.store.get(corpusPath(second.key))).toString()).toContain(`owner/set@${commitName('two')}/data/a.jsonl`);
  hub.datasets['owner/set']!.commits[commitName('three')] = { ...files, 'data/a.jsonl': Buffer.from(jsonLines(rows.slice(1, 300))) };
  hub.datasets['owner/set']!.refs['main'] = commitName('three');
  expect((await tokens('moved', ['hf://datasets/owner/set@main/data/*'], '/')).key).not.toBe(first.key);
});

it('lines left out are in the manifest with file, line, reason and beginning', async () => {
  const lines = jsonLines(rows).trimEnd().split('\n');
  lines[2] = `{"text": "cut\u001b[31m of`;
  lines[4] = '{"body": "x"}';
  const { manifest } = await tokens('bad', ['*.jsonl'], corpusFolder({ 'x.jsonl': `${lines.join('\n')}\n` }), 0.1);
  expect(manifest.metrics).toMatchObject({ documents: 898, badLines: 2 });
  expect(manifest.badLines).toEqual([
    { file: 'x.jsonl', line: 3, reason: expect.stringMatching(/^not JSON/) as string, beginning: '{"text": "cut\\u{1b}[31m of' },
    { file: 'x.jsonl', line: 5, reason: 'no field "text"; its fields are body', beginning: '{"body":"x"}' },
  ]);
});
