// A whole run whose store is an S3 server, from a person's chair: the same bytes as in a folder, and all that looks at a
// finished run, or mends it, works there too.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { writeTestCorpus } from '../../bench/corpus.ts';
import { artifactPath, readManifest } from '../../data/artifact.ts';
import { openStore, type ArtifactStore } from '../../data/artifactStore.ts';
import type { RunCost } from '../../data/cost.ts';
import type { ExampleLineage, Lineage } from '../../data/lineage.ts';
import type { Manifest } from '../../schemas/artifact.ts';
import { featureIndex } from '../../schemas/dashboard.ts';
import { report as reportSchema } from '../../schemas/report.ts';
import { startS3Server, type RunningS3Server } from '../../setup/s3Server.ts';
import { runCli, type CliResult } from '../cli/runCli.ts';

const limit = 300_000;
const uri = 's3://saeflow-runs/store';
let folder: string;
let server: RunningS3Server;
let bucket: ArtifactStore;

// The server is built on first use: several minutes on a machine whose set-up has not run.
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'saeflow-e2e-s3-'));
  await writeTestCorpus(join(folder, 'corpus.jsonl'));
  server = await startS3Server('saeflow-runs');
  Object.assign(process.env, server.env);
  bucket = openStore(uri);
}, 1_200_000);
afterAll(async () => {
  await runCli(folder, ['stop']);
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
}, limit);

async function succeed(...args: string[]): Promise<CliResult> {
  const result = await runCli(folder, args);
  expect(result.exitCode, result.stdout + result.stderr).toBe(0);
  return result;
}

/** The manifests of the newest run in a store, one a stage. */
async function manifests(store: string): Promise<Manifest[]> {
  const report = reportSchema.parse(JSON.parse((await succeed('report', '--json', '--store', store)).stdout));
  return Promise.all(report.stages.map(async ({ name, key }) => (await readManifest(openStore(store), { stage: name, key }))!));
}

it('makes the same bytes as in a folder, and leaves no part of an upload behind', async () => {
  const run = ['run', 'tiny', '--corpus', 'corpus.jsonl', '--store'];
  const local = join(folder, 'store');
  await succeed(...run, local);
  await succeed(...run, uri);
  const [there, here] = [await manifests(uri), await manifests(local)];
  expect(there.map(({ stage, key, contentSha256 }) => [stage, key, contentSha256])).toEqual(here.map(({ stage, key, contentSha256 }) => [stage, key, contentSha256]));
  expect(there).toHaveLength(5);
  expect(await bucket.listUnfinished()).toEqual([]);
  const again = await succeed(...run, uri);
  expect(again.stdout).toContain('finished in');
  expect((await manifests(uri)).map(({ provenance }) => provenance.createdAt)).toEqual(there.map(({ provenance }) => provenance.createdAt));
}, limit);

it('says of each artifact its parents, its time and its bytes; what it all cost; and where an example is from', async () => {
  const made = await manifests(uri);
  for (const { stage, inputs, provenance } of made) {
    expect(Object.keys(inputs).sort()).toEqual({ tokenize: ['corpus'], trainTransformer: ['tokenize'], sampleActivations: ['tokenize', 'trainTransformer'], trainSae: ['sampleActivations'], exportDashboard: ['sampleActivations', 'tokenize', 'trainSae', 'trainTransformer'] }[stage]);
    expect(provenance.seconds).toBeGreaterThan(0);
    expect(provenance.gpuSeconds).toBe(provenance.device.startsWith('gpu') ? provenance.seconds : 0);
    expect(provenance.bytesRead).toBeGreaterThan(0);
    expect(provenance.bytesWritten).toBeGreaterThan(0);
  }
  // what was read and written is the same on any store, but for the digits of times in the manifests that are read
  const local = await manifests(join(folder, 'store'));
  for (const stage of ['tokenize', 'sampleActivations'] as const) {
    const [there, here] = [made, local].map((all) => all.find((one) => one.stage === stage)!.provenance);
    expect(there!.bytesWritten).toBe(here!.bytesWritten);
    expect(Math.abs(there!.bytesRead! - here!.bytesRead!)).toBeLessThan(1_000);
  }
  const cost = JSON.parse((await succeed('cost', '--json', '--store', uri, '--cpu-hour', '0.05')).stdout) as RunCost;
  const all = [cost.made, cost.found];
  expect(all.reduce((sum, { bytesStored }) => sum + bytesStored, 0)).toBe(made.reduce((sum, { bytes }) => sum + bytes, 0));
  expect(all.reduce((sum, { cpuHours }) => sum + cpuHours, 0)).toBeCloseTo(made.reduce((sum, { provenance }) => sum + ((provenance.seconds - provenance.gpuSeconds) * provenance.threads) / 3_600, 0), 9);

  const dashboard = made.find(({ stage }) => stage === 'exportDashboard')!;
  const index = featureIndex.parse(JSON.parse(Buffer.from(await bucket.get(artifactPath(dashboard, 'site/data/index.json'))).toString()));
  const feature = String(index.topExamples.findIndex((examples) => examples > 0));
  const { example, artifacts, corpora } = JSON.parse((await succeed('lineage', '--feature', feature, '--json', '--store', uri)).stdout) as Lineage & { example: ExampleLineage };
  expect(artifacts.map(({ stage }) => stage).sort()).toEqual(made.map(({ stage }) => stage).sort());
  expect(corpora[0]!.files.map(({ name }) => name)).toEqual(['corpus.jsonl']);
  expect(example.document).toMatchObject({ file: 'corpus.jsonl', line: expect.any(Number) as number, offset: expect.any(Number) as number });
}, limit);

it('finds a flipped bit, a cut and a missing object, names what was made from them, and repairs all three with the same bytes', async () => {
  const made = await manifests(uri);
  const of = (stage: Manifest['stage']) => made.find((one) => one.stage === stage)!;
  const shard = artifactPath(of('sampleActivations'), 'shards/00001.parquet');
  const tokens = artifactPath(of('tokenize'), of('tokenize').files.find(({ path }) => path.endsWith('.train.bin'))!.path);
  const weights = artifactPath(of('trainSae'), 'sae_weights.safetensors');
  const sound = await Promise.all([shard, tokens, weights].map((path) => bucket.get(path)));
  const flipped = Buffer.from(sound[0]!);
  flipped[flipped.length >> 1]! ^= 1;
  await bucket.put(shard, flipped);
  await bucket.put(tokens, sound[1]!.subarray(0, sound[1]!.length - 2));
  await bucket.delete(weights);

  const found = await runCli(folder, ['verify', '--store', uri]);
  expect(found.exitCode).toBe(1);
  for (const path of [shard, tokens, weights]) expect(found.stderr).toContain(`${uri}/${path}: `);
  expect(found.stderr).toContain(`${uri}/${weights}: ${of('trainSae').files.find(({ path }) => path === 'sae_weights.safetensors')!.sha256} expected, nothing found`);
  const after = (stage: Manifest['stage']) => found.stderr.split(`made from ${stage}/${of(stage).key}:\n`)[1]!.split('\n').filter((line) => /^ {9,}\w+\/[0-9a-f]{64}$/.test(line));
  expect(after('trainSae')[0]).toContain(`exportDashboard/${of('exportDashboard').key}`);
  for (const stage of ['trainTransformer', 'sampleActivations', 'trainSae', 'exportDashboard'] as const) expect(after('tokenize').join('\n')).toContain(`${stage}/${of(stage).key}`);

  const repaired = await succeed('repair', '--store', uri);
  expect(repaired.stdout.match(/^repaired .*: the same bytes as before/gm)).toHaveLength(3);
  expect(repaired.stdout).toContain(`making anew sampleActivations/${of('sampleActivations').key}: shard 1\n`);
  expect(await Promise.all([shard, tokens, weights].map((path) => bucket.get(path)))).toEqual(sound);
  await succeed('verify', '--store', uri);
  expect((await succeed('gc', '--older-than', '0s', '--store', uri)).stdout).toContain('nothing to delete');
}, limit);
