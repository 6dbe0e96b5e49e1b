// A run's dashboard written out for others, batch by batch, so that 131,072 features take no more memory than 128.
import { z } from 'zod';
import { gzip } from 'node:zlib';
import { promisify } from 'node:util';
import { featuresPerChunk, type FeaturePage, type RunPage } from '../schemas/dashboard.ts';
import { dashboardBatch, neuronpediaActivation, neuronpediaFeature, neuronpediaModel, neuronpediaRelease, neuronpediaSource, neuronpediaSourceSet } from '../schemas/exchange.ts';
import { hookPlace } from '../schemas/hooks.ts';
import type { Report } from '../schemas/report.ts';
import type { ArtifactStore } from './artifactStore.ts';
import { dashboardBatchOf, neuronpediaActivationsOf, neuronpediaFeatureOf, tokenStrings, type ExchangeNames } from './exchangeFeatures.ts';
import { readSiteData } from './siteData.ts';

export const exchangeFormats = ['saedashboard', 'neuronpedia'] as const;
export type ExchangeFormat = (typeof exchangeFormats)[number];

/** What an export is called where it arrives. */
export interface ExchangeOptions {
  modelId: string;
  setName: string;
  creatorName: string;
  /** Id of a user of the Neuronpedia it is for. */
  creatorId: string;
}

/** SAEDashboard's own default. */
const featuresPerBatch = 128;
const compress = promisify(gzip);

/** The part of a transformer's configuration that model.jsonl tells. */
const modelShape = z.object({ architecture: z.object({ nLayer: z.int(), dModel: z.int(), dMlp: z.int(), contextLength: z.int() }) });
type ModelShape = z.infer<typeof modelShape>['architecture'];

/**
 * The files of an export one by one, by path below its folder, ending with the files that name the batches.
 *
 * @param site path of the dashboard's site in the store.
 * @throws UserError when the dashboard is of an older saeflow and has no ablation effects.
 */
export async function* exchangeFiles(store: ArtifactStore, site: string, format: ExchangeFormat, report: Report, options: ExchangeOptions): AsyncGenerator<{ path: string; bytes: Uint8Array }> {
  const data = readSiteData(store, site);
  const run = await data.run();
  const strings = tokenStrings(await data.vocabulary());
  const shape = shapeOf(run);
  const names = namesOf(run, shape, report, options);
  for (let first = 0, batch = 0; first < run.features; first += featuresPerBatch, batch++) {
    const pages: FeaturePage[] = [];
    for (let feature = first; feature < Math.min(first + featuresPerBatch, run.features); feature += featuresPerChunk) {
      pages.push(...(await data.chunk(feature / featuresPerChunk)));
    }
    if (format === 'saedashboard') {
      yield { path: `batch-${batch}.json`, bytes: Buffer.from(JSON.stringify(dashboardBatch.parse(dashboardBatchOf(pages, names, strings)))) };
    } else {
      const features = pages.map((page) => neuronpediaFeature.parse(neuronpediaFeatureOf(page, names, strings)));
      const activations = pages.flatMap((page) => neuronpediaActivationsOf(page, names, strings).map((row) => neuronpediaActivation.parse(row)));
      yield { path: `${names.sourceId}/features/batch-${batch}.jsonl.gz`, bytes: await compress(lines(features)) };
      yield { path: `${names.sourceId}/activations/batch-${batch}.jsonl.gz`, bytes: await compress(lines(activations)) };
    }
  }
  if (format === 'saedashboard') return;
  for (const [name, row] of Object.entries(headers(names, shape, run, report, options))) yield { path: `${names.sourceId}/${name}.jsonl`, bytes: lines([row]) };
}

function shapeOf(run: RunPage): ModelShape {
  return modelShape.parse(run.lineage.find(({ stage }) => stage === 'trainTransformer')?.config).architecture;
}

function namesOf({ hook, tokens }: RunPage, { contextLength }: ModelShape, report: Report, { modelId, setName, creatorId }: ExchangeOptions): ExchangeNames {
  const { layer } = hookPlace(hook);
  return {
    modelId,
    layer,
    hook,
    setName,
    sourceId: `${layer}-${setName}`,
    creatorId,
    createdAt: report.finishedAt ?? new Date(0).toISOString(),
    dataset: report.run,
    prompts: Math.ceil(tokens / contextLength),
    tokensPerPrompt: contextLength,
  };
}

/** release, model, sourceset and source: one row each. */
function headers(names: ExchangeNames, shape: ModelShape, run: RunPage, report: Report, { creatorName }: ExchangeOptions) {
  const { modelId, setName, sourceId, creatorId, createdAt } = names;
  const releaseName = `${modelId}-${setName}`;
  const description = `${report.run}: ${run.features} features of ${run.hook}`;
  const common = { creatorId, createdAt, visibility: 'PUBLIC' as const };
  return {
    release: neuronpediaRelease.parse({
      ...common, name: releaseName, description, descriptionShort: description, creatorName, creatorNameShort: creatorName, creatorEmail: null,
      isNewUi: false, featured: false, urls: [], defaultSourceSetName: setName, defaultSourceId: sourceId, defaultUmapSourceIds: [],
    }),
    model: neuronpediaModel.parse({
      ...common, id: modelId, instruct: false, displayNameShort: modelId, displayName: modelId, tlensId: null, dimension: shape.dModel, defaultSourceSetName: null, defaultSourceId: null,
      inferenceEnabled: false, layers: shape.nLayer, neuronsPerLayer: shape.dMlp, owner: creatorName, updatedAt: createdAt, website: null,
    }),
    sourceset: neuronpediaSourceSet.parse({
      ...common, modelId, name: setName, description, creatorName, releaseName, hasDashboards: true, type: '', urls: [], creatorEmail: null, defaultOfModelId: null,
      defaultRange: 1, defaultShowBreaks: true, showDfa: false, showCorrelated: true, showHeadAttribution: false, showUmap: false,
    }),
    source: neuronpediaSource.parse({
      ...common, id: sourceId, modelId, setName, hasDashboards: true, inferenceEnabled: false, inferenceHosts: [], saelensConfig: null, saelensRelease: null, saelensSaeId: null, hfRepoId: null,
      hfFolderId: null, defaultOfModelId: null, hasUmap: false, hasUmapLogSparsity: false, hasUmapClusters: false, num_prompts: names.prompts, num_tokens_in_prompt: names.tokensPerPrompt,
      dataset: names.dataset, notes: null,
    }),
  };
}

function lines(rows: readonly unknown[]): Buffer {
  return Buffer.from(rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
}
