// The record by which chaos knows of a shard that was computed although it was there: a real compute process, asked twice.
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { journalVariable, readJournal } from '../../chaos/journal.ts';
import { specKey, writeSpec } from '../../data/artifact.ts';
import { openStore } from '../../data/artifactStore.ts';
import { ComputeProcess } from '../../workers/computeProcess.ts';
import { goldenSpecs, type InputKeys } from '../stages/golden/config.ts';

const inputs = resolve(import.meta.dirname, '../stages/golden/inputs');
let folder: string;
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'saeflow-journal-'))));
afterAll(() => rm(folder, { recursive: true, force: true }));

it('tells a shard that was found from one that was made, and from one that was made again', async () => {
  const storeUri = join(folder, 'store');
  await cp(inputs, storeUri, { recursive: true });
  const spec = goldenSpecs.exportDashboard(JSON.parse(await readFile(join(inputs, 'keys.json'), 'utf8')) as InputKeys);
  const artifact = { stage: spec.stage, key: specKey(spec) };
  await writeSpec(openStore(storeUri), artifact, spec);
  const journal = join(folder, 'journal.jsonl');
  await writeFile(journal, '');
  const compute = new ComputeProcess({ entry: resolve(import.meta.dirname, '../../chaos/compute.ts'), env: { ...process.env, [journalVariable]: journal } });
  try {
    for (const shard of [0, 1, 1]) await compute.run<'readFeaturesShard'>({ kind: 'readFeaturesShard', artifact, storeUri, shard });
    // Of a block the activity looks for the receipt, not the job: asked directly, it computes again.
    for (const block of [0, 0]) await compute.run<'writeFeaturesBlock'>({ kind: 'writeFeaturesBlock', artifact, storeUri, block });
  } finally {
    await compute.close();
  }
  const rows = readJournal(journal).map(({ part, hadReceipt, written }) => [part, hadReceipt, written > 0]);
  expect(rows).toEqual([
    [0, false, true],
    [1, false, true],
    [1, true, false],
    [2, false, true],
    [2, true, true],
  ]);
  await writeFile(journal, '{"stage": "tokenize", "par', { flag: 'a' });
  expect(readJournal(journal)).toHaveLength(5);
});
