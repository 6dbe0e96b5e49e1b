// The map of a real small SAE, from the activations of its held-out tokens: all features that fired, no other, the same
// bytes each time.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { artifactPath, readReceipt, writeReceipt } from '../../data/artifact.ts';
import { openStore } from '../../data/artifactStore.ts';
import { blockReceipt, indexPath } from '../../data/dashboardSite.ts';
import { readFirings } from '../../data/firings.ts';
import { specOf } from '../../data/inputs.ts';
import { planStage } from '../../data/plans.ts';
import { featureMap } from '../../schemas/dashboard.ts';
import { runJob } from '../../stages/jobs.ts';
import { chosenFeatures } from '../../stages/mapFeatures.ts';
import { loadBackend } from '../../workers/tensorflow.ts';
import { cfg, dashboardOfExport } from './exportedSae.ts';

let folder: string;
beforeAll(async () => {
  await loadBackend({});
  folder = await mkdtemp(join(tmpdir(), 'saeflow-map-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const featuresPerBlock = 16;
/** Places only: this test counts firings. */
const tokensPerShard = 1_000_000;

async function makeMap(name: string) {
  const store = openStore(join(folder, name));
  const id = await dashboardOfExport(store, { featuresPerBlock, probes: [] });
  const context = { store, device: 'cpu', report: () => undefined, shouldStop: () => false };
  const job = { artifact: id, storeUri: store.uri };
  const { shards, blocks } = await planStage(store, await specOf(store, id, 'exportDashboard'));
  for (let shard = 0; shard < shards; shard++) await runJob({ kind: 'readFeaturesShard', ...job, shard }, context);
  const density: number[] = [];
  for (let first = 0; first < cfg.d_sae; first += featuresPerBlock) {
    const { firings } = await readFirings(store, id, first / featuresPerBlock, Math.min(featuresPerBlock, cfg.d_sae - first), cfg.d_in, shards, tokensPerShard);
    density.push(...firings.map(({ tokens }) => tokens.length * 1e-4));
  }
  // the blocks' densities as blocks leave them; pages need documents, of which this export has none
  for (let block = 0; block < blocks; block++) {
    const path = indexPath(block);
    const stored = await store.put(artifactPath(id, path), Buffer.from(JSON.stringify({ density: density.slice(block * featuresPerBlock, (block + 1) * featuresPerBlock) })));
    await writeReceipt(store, id, { shard: blockReceipt(shards, block), files: [{ path, ...stored }], metrics: { features: featuresPerBlock }, seconds: 0, device: 'cpu' });
  }
  const fired = density.flatMap((value, feature) => (value > 0 ? [feature] : []));
  await runJob({ kind: 'mapFeatures', ...job }, context);
  const receipt = (await readReceipt(store, id, blockReceipt(shards, blocks)))!;
  return { fired, receipt, bytes: Buffer.from(await store.get(artifactPath(id, 'site/data/map.json'))), blocks };
}

test('holds every feature that fired and no other, each with its place and cluster, and is the same when made again', async () => {
  const { fired, receipt, bytes, blocks } = await makeMap('first');
  const map = featureMap.parse(JSON.parse(bytes.toString()));
  expect(blocks).toBeGreaterThan(1);
  expect(fired.length).toBeGreaterThan(4);
  expect(fired.length).toBeLessThan(cfg.d_sae);
  expect(map.features).toEqual(fired);
  expect([map.x.length, map.y.length, map.cluster.length]).toEqual([fired.length, fired.length, fired.length]);
  expect(receipt).toMatchObject({ metrics: { mapped: fired.length }, files: [{ path: 'site/data/map.json', rows: fired.length }] });
  expect((await makeMap('second')).bytes.equals(bytes)).toBe(true);
});

test('of more features than a map can show it has the densest, in the order of their numbers', () => {
  const densities = Array.from({ length: 20_000 }, (_, feature) => (feature % 7 === 0 ? 0 : ((feature * 7_919) % 20_000) / 20_000 + 1e-9));
  const chosen = chosenFeatures(densities);
  expect(chosen.length).toBe(16_384);
  expect([...chosen].sort((a, b) => a - b)).toEqual(chosen);
  const left = densities.filter((density, feature) => density > 0 && !chosen.includes(feature));
  expect(Math.max(...left)).toBeLessThanOrEqual(Math.min(...chosen.map((feature) => densities[feature]!)));
});
