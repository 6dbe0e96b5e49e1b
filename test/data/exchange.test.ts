// Exchange files have exactly the fields that the readers' own classes have (test/oracle/exchange.json, by exchange.py,
// which also built every row of these files with those classes), and mean there what they mean here.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { openStore, type ArtifactStore } from '../../data/artifactStore.ts';
import { exchangeFiles, type ExchangeFormat } from '../../data/exchangeFiles.ts';
import { tokenStrings } from '../../data/exchangeFeatures.ts';
import { UserError } from '../../schemas/errors.ts';
import { dashboardBatch, neuronpediaActivation, neuronpediaFeature, neuronpediaModel, neuronpediaSource, type DashboardBatch, type NeuronpediaActivation } from '../../schemas/exchange.ts';
import type { Report } from '../../schemas/report.ts';
import { deadFeature, featureOf, features, putSite, sitePath, words } from './exchangeSite.ts';

const names = z.array(z.string());
const oracle = z
  .object({
    saedashboard: z.object({ batch: names, feature: names, activation: names }),
    neuronpedia: z.record(z.enum(['release', 'model', 'sourceset', 'source', 'features', 'activations']), names),
    checked: z.object({ saedashboard: z.object({ features: z.int(), activations: z.int() }), neuronpedia: z.object({ features: z.int(), activations: z.int(), activationsWithAblations: z.int() }) }),
  })
  .parse(JSON.parse(readFileSync(new URL('../oracle/exchange.json', import.meta.url), 'utf8')));
const options = { modelId: 'fixture', setName: 'saeflow-sae', creatorName: 'saeflow', creatorId: 'saeflow' };
const folder = mkdtempSync(join(tmpdir(), 'saeflow-exchange-'));
let store: ArtifactStore;
let report: Report;

beforeAll(async () => {
  store = openStore(folder);
  report = await putSite(store);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function filesOf(format: ExchangeFormat, from = store): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>();
  for await (const { path, bytes } of exchangeFiles(from, sitePath, format, report, options)) files.set(path, Buffer.from(path.endsWith('.gz') ? gunzipSync(bytes) : bytes));
  return files;
}
const sorted = (value: object) => Object.keys(value).sort();
/** The optional fields of dependent-feature attribution, which SAEDashboard itself leaves out where it has none. */
const withoutDfa = (fields: string[]) => fields.filter((name) => !name.startsWith('dfa_')).sort();
const rows = <T>(bytes: Buffer, schema: z.ZodType<T>): T[] => bytes.toString().trimEnd().split('\n').map((line) => schema.parse(JSON.parse(line)));

describe('SAEDashboard', () => {
  let batch: DashboardBatch;
  beforeAll(async () => {
    const files = await filesOf('saedashboard');
    expect([...files.keys()]).toEqual(['batch-0.json']);
    batch = dashboardBatch.parse(JSON.parse(files.get('batch-0.json')!.toString()));
  });

  it('gets the fields of its classes and no other', () => {
    expect(sorted(batch)).toEqual([...oracle.saedashboard.batch].sort());
    expect(sorted(batch.features[0]!)).toEqual([...oracle.saedashboard.feature].sort());
    expect(sorted(batch.features[0]!.activations[0]!)).toEqual(withoutDfa(oracle.saedashboard.activation));
  });

  it('gets every feature once, the dead one too, with the strongest examples first', () => {
    expect(batch.features.map(({ feature_index: feature }) => feature)).toEqual(Array.from({ length: features }, (_, feature) => feature));
    const [first] = batch.features;
    const page = featureOf(0);
    expect(first!.activations.slice(0, 8).every((one) => one.bin_min === -1 && one.bin_max === page.maxActivation && one.bin_contains === -1)).toBe(true);
    expect(first!.activations[8]).toMatchObject({ bin_min: 6, bin_max: 8, bin_contains: 0.1, values: page.intervals[0]!.examples[0]!.activations, qualifying_token_index: 6 });
    expect(first).toMatchObject({ frac_nonzero: 0.125, freq_hist_data_bar_values: [1, 3, 5, 7], freq_hist_data_bar_heights: [40, 30, 20, 10], logits_hist_data_bar_values: [-1.5, -0.5, 0.5, 1.5, 2.5] });
    expect(batch).toMatchObject({ layer: 1, model_id: 'fixture' });
    expect(batch.features[deadFeature]!.activations).toEqual([]);
  });
});

describe('Neuronpedia', () => {
  let files: Map<string, Buffer>;
  let activations: NeuronpediaActivation[];
  beforeAll(async () => {
    files = await filesOf('neuronpedia');
    activations = rows(files.get('1-saeflow-sae/activations/batch-0.jsonl.gz')!, neuronpediaActivation);
  });

  it('gets the files of its bulk import, with the fields of its rows and no other', () => {
    const kinds = { release: 'release.jsonl', model: 'model.jsonl', sourceset: 'sourceset.jsonl', source: 'source.jsonl', features: 'features/batch-0.jsonl.gz', activations: 'activations/batch-0.jsonl.gz' } as const;
    expect([...files.keys()].sort()).toEqual(Object.values(kinds).map((name) => `1-saeflow-sae/${name}`).sort());
    for (const [kind, name] of Object.entries(kinds)) {
      for (const line of files.get(`1-saeflow-sae/${name}`)!.toString().trimEnd().split('\n')) expect(sorted(JSON.parse(line) as object)).toEqual([...oracle.neuronpedia[kind as keyof typeof kinds]].sort());
    }
    expect(neuronpediaModel.parse(JSON.parse(files.get('1-saeflow-sae/model.jsonl')!.toString()))).toMatchObject({ id: 'fixture', layers: 2, neuronsPerLayer: 64, dimension: 16 });
    expect(neuronpediaSource.parse(JSON.parse(files.get('1-saeflow-sae/source.jsonl')!.toString()))).toMatchObject({ id: '1-saeflow-sae', num_prompts: 32, num_tokens_in_prompt: 32 });
  });

  it('gets ablations with the sign turned: it draws what raises the loss red, we what raises the log-probability blue', () => {
    const { effects } = featureOf(0).top[0]!;
    expect(effects.some((value) => value > 0)).toBe(true);
    expect(activations[0]!.lossValues).toEqual(effects.map((value) => (value === 0 ? 0 : -value)));
    for (const row of activations) expect(row.lossValues).toHaveLength(row.tokens.length);
  });

  it('gets activations that belong to its features, and ids of their own that are the same in every export', async () => {
    expect(rows(files.get('1-saeflow-sae/features/batch-0.jsonl.gz')!, neuronpediaFeature).map(({ index }) => index)).toEqual(Array.from({ length: features }, (_, feature) => String(feature)));
    expect(new Set(activations.map(({ id }) => id)).size).toBe(activations.length);
    expect(await filesOf('neuronpedia')).toEqual(files);
    expect(activations[0]).toMatchObject({ index: '0', layer: '1-saeflow-sae', maxValue: 8, maxValueTokenIndex: 6, qualifyingTokenIndex: 6 });
  });

  it('are the files that its classes and SAEDashboard’s read', () => {
    expect(oracle.checked.neuronpedia).toMatchObject({ features, activations: activations.length, activationsWithAblations: activations.length });
    expect(oracle.checked.saedashboard).toMatchObject({ features, activations: activations.length });
  });
});

describe('exchange', () => {
  it('gives tokens that any JSON reader and PostgreSQL can hold', () => {
    expect(tokenStrings({ eot: 0, tokens: words })).toEqual(['<|endoftext|>', '\uFFFD', '\uFFFD', '</script>', '\n', ' the', ' cat', ' sat', ' on', ' mat', ' да', ' x']);
  });

  it('names the file that an older version wrote', async () => {
    const older = openStore(join(folder, 'older'));
    await putSite(older);
    await older.put(`${sitePath}/data/features/00001.json`, Buffer.from('[{"feature":8}]'));
    await expect(filesOf('saedashboard', older)).rejects.toThrow(UserError);
    await expect(filesOf('saedashboard', older)).rejects.toThrow('features/00001.json');
  });
});
