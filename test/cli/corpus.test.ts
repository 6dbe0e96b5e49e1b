// A corpus on the Hugging Face hub, looked at from the command line before a run begins.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { absolutePatterns, lookAtCorpus, requireCorpus } from '../../cli/corpus.ts';
import { resolveInput } from '../../presets/resolve.ts';
import { UserError } from '../../schemas/errors.ts';
import { commitName, startHubServer, type HubServer } from '../data/hubServer.ts';

const texts = Array.from({ length: 2_000 }, (_, index) => `Document ${index} says what a document says, and then some more of it.`);
const bytes = new Uint8Array(parquetWriteBuffer({ rowGroupSize: 500, codec: 'UNCOMPRESSED', columnData: [{ name: 'text', data: texts, type: 'STRING' }] }));
const dataset = 'hf://datasets/owner/set';

let hub: HubServer;
let folder: string;
const before = { ...process.env };

beforeAll(async () => {
  hub = await startHubServer();
  hub.datasets = { 'owner/set': { refs: { main: commitName('one') }, commits: { [commitName('one')]: { 'train/0.parquet': bytes } } } };
  folder = mkdtempSync(join(tmpdir(), 'saeflow-cli-corpus-'));
  Object.assign(process.env, { HF_ENDPOINT: hub.endpoint, HF_HOME: folder, SAEFLOW_CACHE_DIR: folder });
});
afterAll(async () => {
  process.env = before;
  await hub.stop();
  rmSync(folder, { recursive: true, force: true });
});

describe('a dataset named on the command line', () => {
  it('stays what it is where paths become absolute', () => {
    expect(absolutePatterns(['a/*.txt', dataset, 's3://bucket/*.jsonl', 'demo:'], '/work')).toEqual(['/work/a/*.txt', dataset, 's3://bucket/*.jsonl', 'demo:']);
  });

  it('is counted by the hub’s sizes and a sample of its text', async () => {
    const { size, source } = await lookAtCorpus(resolveInput({ preset: 'tiny', corpus: { paths: [dataset] } }), folder);
    expect(size.diskBytes).toBe(bytes.length);
    expect(source).toMatch(/^1 files, \d\.\d\d bytes a token in the first 0\.1 MB$/);
  });

  it('that is not there is refused before anything starts; one that can’t be reached now is left to the run', async () => {
    await expect(requireCorpus([dataset], folder)).resolves.toBeUndefined();
    await expect(requireCorpus(['hf://datasets/owner/nothing'], folder)).rejects.toBeInstanceOf(UserError);
    hub.faults = [{ host: 'hub', on: '/revision/', fault: { kind: 'status', status: 503 } }];
    await expect(requireCorpus([dataset], folder)).resolves.toBeUndefined();
    expect(hub.faults).toEqual([]);
  });
});
