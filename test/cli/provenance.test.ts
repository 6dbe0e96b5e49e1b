// Where a finished run came from and what it cost, through the real commands, from a real tiny run in a store.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { artifactPath, readManifest } from '../../data/artifact.ts';
import { openStore, type ArtifactStore } from '../../data/artifactStore.ts';
import { resolveCorpusFiles } from '../../data/corpusFiles.ts';
import { costOf, type RunCost } from '../../data/cost.ts';
import type { ExampleLineage, Lineage } from '../../data/lineage.ts';
import { corpusPath } from '../../data/plans.ts';
import { buildReport } from '../../data/report.ts';
import { resolveInput } from '../../presets/resolve.ts';
import type { Manifest } from '../../schemas/artifact.ts';
import { featureIndex } from '../../schemas/dashboard.ts';
import type { StageResult } from '../../schemas/progress.ts';
import type { StageName } from '../../schemas/stages.ts';
import { loadBackend } from '../../workers/tensorflow.ts';
import { testDocuments, writeTestCorpus } from '../../bench/corpus.ts';
import { runPipeline } from '../../stages/inProcess.ts';
import { runCli } from './runCli.ts';

const corpus = 'c'.repeat(64);
const config = resolveInput('tiny');
let folder: string;
let store: ArtifactStore;
let results: StageResult[];

beforeAll(async () => {
  await loadBackend({});
  folder = await mkdtemp(join(tmpdir(), 'saeflow-provenance-'));
  store = openStore(join(folder, 'store'));
  await writeTestCorpus(join(folder, 'corpus.jsonl'));
  await store.put(corpusPath(corpus), Buffer.from(JSON.stringify(await resolveCorpusFiles([join(folder, 'corpus.jsonl')], folder))));
  results = await runPipeline(store, config, corpus);
  const finished = { run: 'tiny', configHash: 'a'.repeat(64), config, stages: results.map((result) => ({ ...result, cached: result.artifact.stage === 'tokenize' })), workflowId: 'saeflow/tiny', finishedAt: new Date(0).toISOString() };
  const report = await buildReport(store, { ...finished, changes: { previous: null, nothingNew: false, summary: 'the first', saes: [] } });
  await store.put('runs/tiny-aaaaaaaaaaaa/report.json', Buffer.from(JSON.stringify(report)));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const keyOf = (stage: StageName) => results.find(({ artifact }) => artifact.stage === stage)!.artifact.key;
const manifestOf = async (stage: StageName) => (await readManifest(store, { stage, key: keyOf(stage) }))!;

async function said(...args: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await runCli(folder, [...args, '--store', 'store']);
  expect(exitCode, stderr).toBe(0);
  return stdout;
}

async function refused(...args: string[]): Promise<string> {
  const { exitCode, stderr } = await runCli(folder, [...args, '--store', 'store']);
  expect(exitCode).toBe(1);
  expect(stderr).not.toMatch(/\n\s+at /);
  return stderr;
}

describe('saeflow lineage', () => {
  it('names every artifact a run was made from once, with code, machine and time, and the files of its corpus', async () => {
    const { artifacts, corpora } = JSON.parse(await said('lineage', 'tiny', '--json')) as Lineage;
    expect(artifacts.map(({ stage }) => stage).sort()).toEqual(['exportDashboard', 'sampleActivations', 'tokenize', 'trainSae', 'trainTransformer']);
    for (const { stage, provenance, bytes } of artifacts) {
      const manifest = await manifestOf(stage);
      expect(provenance).toEqual(manifest.provenance);
      expect(bytes).toBe(manifest.bytes);
    }
    expect(artifacts.find(({ stage }) => stage === 'trainSae')!.inputs).toEqual([{ stage: 'sampleActivations', key: keyOf('sampleActivations') }]);
    expect(corpora).toHaveLength(1);
    expect(corpora[0]!.files.map(({ name }) => name)).toEqual(['corpus.jsonl']);
  });

  it('draws a tree from the results down to the corpus, each artifact described once', async () => {
    const text = await said('lineage');
    const lines = text.trimEnd().split('\n');
    expect(lines[0]).toMatch(new RegExp(`^exportDashboard/${keyOf('exportDashboard').slice(0, 12)}  [\\d.]+ .?B in \\d+ files, .* on cpu \\(2 threads\\)$`));
    expect(text.match(/corpus\.jsonl {2}/g)).toHaveLength(1);
    for (const { artifact } of results) expect(lines.filter((line) => line.includes(`${artifact.stage}/`) && line.includes(' in ') && line.includes(' on cpu'))).toHaveLength(1);
    expect(text).toContain('as above');
  });

  it('of one artifact shows that one and what it was made from', async () => {
    const text = await said('lineage', `sampleActivations/${keyOf('sampleActivations').slice(0, 8)}`);
    expect(text).toContain('trainTransformer/');
    expect(text).not.toContain('trainSae/');
  });

  it('says so where an ancestor is no longer in the store', async () => {
    const path = artifactPath({ stage: 'trainTransformer', key: keyOf('trainTransformer') }, 'manifest.json');
    const bytes = await store.get(path);
    await store.delete(path);
    expect(await said('lineage')).toMatch(/trainTransformer\/\w+ {2}not in this store: deleted, or never finished/);
    await store.put(path, bytes);
  });

  it('of an example leads to the token of its document', async () => {
    const dashboard = await manifestOf('exportDashboard');
    const index = featureIndex.parse(JSON.parse(Buffer.from(await store.get(artifactPath(dashboard, 'site/data/index.json'))).toString()));
    const feature = index.topExamples.findIndex((examples) => examples >= 2);
    const { example } = JSON.parse(await said('lineage', '--feature', String(feature), '--example', '2', '--json')) as { example: ExampleLineage };
    expect(example).toMatchObject({ feature, example: 2, sae: { key: keyOf('trainSae') }, model: { key: keyOf('trainTransformer') }, tokens: { key: keyOf('tokenize') } });
    // line n of the corpus is document n
    const text = testDocuments(60)[example.document.line - 1]!;
    expect(example.document).toMatchObject({ file: 'corpus.jsonl', lang: text.lang });
    const bytes = await store.get(artifactPath(example.tokens, example.tokens.path));
    expect(Buffer.from(bytes).readUInt16LE(2 * example.tokens.index)).toBe(example.token);
    expect(await said('lineage', '--feature', String(feature))).toContain(`corpus.jsonl line `);
  });

  it('refuses what there is not, by name', async () => {
    expect(await refused('lineage', '--feature', '100000')).toContain('has no feature 100000');
    expect(await refused('lineage', '--feature', '0', '--example', '1000')).toContain('there is no example 1000');
    expect(await refused('lineage', 'none')).toContain('no finished run "none"');
    expect(await refused('lineage', 'trainSae/ffff0000')).toContain('no such artifact');
    expect(await refused('lineage', '--feature', '0', '--sae', 'none')).toContain('has no SAE none');
  });
});

describe('saeflow cost', () => {
  it('adds up what the run made, and what it found apart', async () => {
    const cost = JSON.parse(await said('cost', 'tiny', '--json', '--cpu-hour', '3.6', '--tb-month', '1e12')) as RunCost;
    const manifests = await Promise.all(results.map(({ artifact }) => manifestOf(artifact.stage)));
    const made = manifests.filter(({ stage }) => stage !== 'tokenize');
    const seconds = made.reduce((sum, { provenance }) => sum + provenance.seconds, 0);
    expect(cost.made).toMatchObject({ artifacts: 4, gpuHours: 0, bytesStored: made.reduce((sum, { bytes }) => sum + bytes, 0) });
    expect(cost.made.cpuHours).toBeCloseTo((2 * seconds) / 3_600, 9);
    expect(cost.made.money.computing).toBeCloseTo((2 * seconds) / 1_000, 9);
    expect(cost.made.money.storagePerMonth).toBeCloseTo(cost.made.bytesStored, 3);
    expect(cost.found).toMatchObject({ artifacts: 1, bytesStored: manifests.find(({ stage }) => stage === 'tokenize')!.bytes });
    for (const { provenance } of manifests) expect(provenance.bytesRead).toBeGreaterThan(0);
    const sampled = await manifestOf('sampleActivations');
    expect(sampled.provenance.bytesWritten).toBe(sampled.bytes);
    const read = cost.stages.find(({ stage }) => stage === 'trainSae')!.bytesRead;
    expect(read).toBeGreaterThan(sampled.files.reduce((sum, { rows }) => sum + rows! * 2 * config.transformer.architecture.dMlp, 0));
  });

  it('shows money in any currency, priced by options or the environment, and none without prices', async () => {
    expect(await said('cost')).toContain('no prices: give --gpu-hour');
    const { stdout } = await runCli(folder, ['cost', '--store', 'store'], { SAEFLOW_PRICE_GPU_HOUR: '2.5', SAEFLOW_PRICE_TB_MONTH: '23', SAEFLOW_CURRENCY: '€' });
    expect(stdout).toContain('prices: €2.5 a GPU-hour, €23 a TB and month');
    expect(stdout).toMatch(/found, not spent .* €0\.00 /);
    const { exitCode, stderr } = await runCli(folder, ['cost', '--store', 'store'], { SAEFLOW_PRICE_GPU_HOUR: 'much' });
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining("SAEFLOW_PRICE_GPU_HOUR is 'much'")]);
  });
});

it('a GPU is priced by its seconds, cores by theirs, and an artifact that two SAEs share counts once, as made', async () => {
  const manifest = await manifestOf('sampleActivations');
  const provenance: Manifest['provenance'] = { ...manifest.provenance, seconds: 7_200 + 1_800, gpuSeconds: 7_200, threads: 8 };
  const shared = { ...manifest, bytes: 2e12, provenance };
  const { made, found } = costOf([{ manifest: shared, found: false }, { manifest: shared, found: true }], { gpuHour: 2.5, cpuHour: 0.05, tbMonth: 23 });
  expect(made).toMatchObject({ artifacts: 1, gpuHours: 2, cpuHours: 4, money: { computing: 5.2, storagePerMonth: 46 } });
  expect(found.artifacts).toBe(0);
});
