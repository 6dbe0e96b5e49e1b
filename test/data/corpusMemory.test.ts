// Documents are streamed: ten times the corpus in one shard takes no more memory, whatever it is stored as and wherever.
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openStore } from '../../data/artifactStore.ts';
import { startS3Server, type RunningS3Server } from '../../setup/s3Server.ts';
import { jsonLines } from './corpusFixtures.ts';
import { commitName, startHubServer, type HubServer } from './hubServer.ts';

const fewer = 10_000;
const more = 100_000;
/** So that the larger corpus has 135 MB more than the smaller. */
const textBytes = 1_500;
const allowedGrowthBytes = 64e6;

const reader = fileURLToPath(new URL('readCorpusProcess.ts', import.meta.url));
const rows = (count: number) => Array.from({ length: count }, (_, index) => ({ text: `${index} `.padEnd(textBytes, 'Wort ') }));
const formats: Record<string, (count: number) => Uint8Array> = {
  jsonl: (count) => Buffer.from(jsonLines(rows(count))),
  'jsonl.gz': (count) => gzipSync(jsonLines(rows(count)), { level: 1 }),
  'jsonl.zst': (count) => zstdFrame(Buffer.from(jsonLines(rows(count)))),
  parquet: (count) => new Uint8Array(parquetWriteBuffer({ rowGroupSize: 1_000, codec: 'UNCOMPRESSED', columnData: [{ name: 'text', data: rows(count).map(({ text }) => text), type: 'STRING' }] })),
};

/** One Zstandard frame with a window of 1 MiB, of blocks that are stored as they are (RFC 8878), as of what does not compress. */
function zstdFrame(content: Buffer): Buffer {
  const blockBytes = 2 ** 17;
  const parts: Uint8Array[] = [Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, 10 << 3])];
  for (let at = 0; at < content.length; at += blockBytes) {
    const block = content.subarray(at, at + blockBytes);
    const header = Buffer.alloc(3);
    header.writeUIntLE((block.length << 3) | Number(at + blockBytes >= content.length), 0, 3);
    parts.push(header, block);
  }
  return Buffer.concat(parts);
}

let folder: string;
let hub: HubServer;
let s3: RunningS3Server;

beforeAll(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'saeflow-memory-'));
  hub = await startHubServer();
  s3 = await startS3Server('saeflow-memory');
  Object.assign(process.env, s3.env);
}, 1_200_000);
afterAll(async () => {
  await hub.stop();
  await s3.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function peakOf(pattern: string): Promise<{ documents: number; peakBytes: number }> {
  const env = { ...process.env, HF_ENDPOINT: hub.endpoint, HF_HOME: folder, SAEFLOW_CACHE_DIR: path.join(folder, 'cache') };
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', reader, pattern, String(2 ** 40)], { env });
  return JSON.parse(stdout) as { documents: number; peakBytes: number };
}

it.each([
  ['jsonl', 'disk'],
  ['jsonl.gz', 'disk'],
  ['jsonl.zst', 'disk'],
  ['parquet', 'disk'],
  ['jsonl', 'hub'],
  ['parquet', 'hub'],
  ['jsonl', 'bucket'],
  ['jsonl.gz', 'bucket'],
  ['jsonl.zst', 'bucket'],
  ['parquet', 'bucket'],
])('%s from a %s', async (format, where) => {
  const peaks: number[] = [];
  for (const count of [fewer, more]) {
    const content = formats[format]!(count);
    const name = `${count}.${format}`;
    const file = path.join(folder, name);
    if (where === 'disk') writeFileSync(file, content);
    else if (where === 'bucket') await openStore('s3://saeflow-memory').put(name, content);
    else hub.datasets['owner/set'] = { refs: { main: commitName(name) }, commits: { [commitName(name)]: { [name]: content } } };
    const { documents, peakBytes } = await peakOf({ disk: file, hub: `hf://datasets/owner/set/${name}`, bucket: `s3://saeflow-memory/${name}` }[where]!);
    expect(documents).toBe(count);
    peaks.push(peakBytes);
    rmSync(file, { force: true });
  }
  expect(peaks[1]! - peaks[0]!).toBeLessThan(allowedGrowthBytes);
}, 120_000);
