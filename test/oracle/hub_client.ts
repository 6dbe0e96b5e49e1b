// Holds the tests' hub, and data/hubDataset.ts with it, against huggingface's own client: both list the same files of the
// same commit, and read the same bytes. Run by hand, with a Python that has huggingface_hub:
// PYTHON=venv/bin/python node --import tsx test/oracle/hub_client.ts
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual, promisify } from 'node:util';
import { listHubFiles } from '../../data/hubDataset.ts';
import { defaultPatience } from '../../data/patience.ts';
import { readSource } from '../../data/corpusSource.ts';
import { commitName, startHubServer } from '../data/hubServer.ts';

const sha = commitName('oracle');
const bytes = (seed: string, length: number) => Buffer.from(Array.from({ length }, (_, index) => createHash('sha1').update(`${seed}${index >> 4}`).digest()[index & 15]!));
const hub = await startHubServer();
hub.pageSize = 2;
hub.datasets['owner/set'] = { refs: { main: sha }, commits: { [sha]: { 'README.md': Buffer.from('# set'), 'a/small.jsonl': bytes('s', 500), 'a/large.jsonl': bytes('l', 300_000), 'a/b/deep.jsonl': bytes('d', 70_000), 'other.txt': bytes('o', 900) } } };
process.env['HF_ENDPOINT'] = hub.endpoint;
const home = await mkdtemp(join(tmpdir(), 'saeflow-hub-oracle-'));
try {
  const script = fileURLToPath(new URL('hub_client.py', import.meta.url));
  const env = { ...process.env, HF_HOME: home, HF_HUB_DISABLE_XET: '1', HF_HUB_DISABLE_PROGRESS_BARS: '1' };
  const { stdout } = await promisify(execFile)(process.env['PYTHON'] ?? 'python3', [script, 'owner/set', 'a/**/*.jsonl'], { env });
  const theirs = JSON.parse(stdout) as unknown;
  const found = await listHubFiles('hf://datasets/owner/set/a/**/*.jsonl', defaultPatience);
  const files = await Promise.all(
    found.map(async ({ uri, path, bytes: size, tag }) => {
      const hash = createHash('sha256');
      for await (const chunk of readSource({ path: uri, expected: { bytes: size, sha256: null, tag } })) hash.update(chunk);
      const sha256 = hash.digest('hex');
      return { path, bytes: size, streamed: sha256, downloaded: sha256 };
    }),
  );
  const ours = { sha, files: files.sort((a, b) => (a.path < b.path ? -1 : 1)) };
  console.log(isDeepStrictEqual(ours, theirs) ? `equal: ${files.length} files at ${sha}` : JSON.stringify({ ours, theirs }, null, 2));
  process.exitCode = isDeepStrictEqual(ours, theirs) ? 0 : 1;
} finally {
  await hub.stop();
  await rm(home, { recursive: true, force: true });
}
