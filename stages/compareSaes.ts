// An SAE against the one of the run before: its metrics beside the other's, and which of its features the other had. Only
// features that fired on held-out tokens count: those that never learned keep the direction they were initialised with,
// and would be "kept" for ever.
import { artifactPath, readVerified } from '../data/artifact.ts';
import type { ArtifactStore } from '../data/artifactStore.ts';
import { comparisonKey, readComparison, writeComparison } from '../data/comparison.ts';
import { manifestOf, specOf } from '../data/inputs.ts';
import { decodeSafetensors } from '../data/safetensors.ts';
import { matchFeatures, type FeatureMatch, type FeatureSet } from '../model/featureMatching.ts';
import { matchThreshold, type ComparedKeys, type FeatureCounts, type FeatureMatches, type SaeComparison } from '../schemas/comparison.ts';
import { featureIndex } from '../schemas/dashboard.ts';
import type { Manifest } from '../schemas/artifact.ts';
import { UserError } from '../schemas/errors.ts';
import { breathe, StoppedError, type JobContext } from './context.ts';

interface Side {
  keys: SaeComparison['before'];
  hook: string;
  metrics: Record<keyof SaeComparison['metrics'], number>;
  set: FeatureSet;
}

/** All that is asked of an index: the one before may be of an older version, with fewer columns. */
const densities = featureIndex.pick({ density: true }).loose();

/**
 * The comparison of two SAEs by their dashboards' keys: found, or made and written.
 *
 * @throws UserError when an artifact of either is missing or damaged; StoppedError when told to stop, with nothing to save.
 */
export async function compareSaes(keys: ComparedKeys, context: JobContext): Promise<SaeComparison> {
  const { store } = context;
  const key = comparisonKey(keys);
  const found = await readComparison(store, key);
  if (found !== null) return found;
  const before = await openSide(store, keys.before);
  const after = await openSide(store, keys.after);
  const reason = whyIncomparable(before, after);
  const matches = reason === '' ? await matchSides(before, after, context) : null;
  const comparison: SaeComparison = {
    format: 1,
    key,
    before: before.keys,
    after: after.keys,
    metrics: metricsOf(before, after),
    features: matches === null ? null : countsOf(before, after, matches),
    reason,
  };
  await writeComparison(store, comparison, matches === null ? null : columnsOf(before, after, matches));
  return comparison;
}

async function matchSides(before: Side, after: Side, context: JobContext): Promise<FeatureMatch[]> {
  const total = Math.max(1, after.set.features.length);
  return matchFeatures(before.set, after.set, {
    threshold: matchThreshold,
    async onProgress(done) {
      context.report({ done, total, unit: 'features', metrics: {} });
      await breathe();
      if (context.shouldStop()) throw new StoppedError();
    },
  });
}

function whyIncomparable(before: Side, after: Side): string {
  if (before.hook !== after.hook) return `features are not matched: the SAE read ${before.hook} before and reads ${after.hook} now`;
  if (before.set.d !== after.set.d) return `features are not matched: ${after.hook} had ${before.set.d} components before and has ${after.set.d} now`;
  return '';
}

function metricsOf(before: Side, after: Side): SaeComparison['metrics'] {
  const change = (name: keyof SaeComparison['metrics']) => ({ before: before.metrics[name], after: after.metrics[name] });
  return { valLoss: change('valLoss'), l0: change('l0'), lossRecovered: change('lossRecovered'), fvu: change('fvu'), alive: change('alive') };
}

function countsOf(before: Side, after: Side, matches: readonly FeatureMatch[]): FeatureCounts {
  const kept = matches.length;
  const sum = matches.reduce((total, { cosine }) => total + cosine, 0);
  return {
    threshold: matchThreshold,
    kept,
    lost: before.set.features.length - kept,
    new: after.set.features.length - kept,
    meanCosine: kept === 0 ? null : rounded(sum / kept),
  };
}

function columnsOf(before: Side, after: Side, matches: readonly FeatureMatch[]): FeatureMatches {
  const features = after.set.decoder.length / after.set.d;
  const columns: FeatureMatches = { before: new Array<number>(features).fill(-1), cosine: new Array<number>(features).fill(0), lost: [] };
  for (const match of matches) {
    columns.before[match.after] = match.before;
    columns.cosine[match.after] = rounded(match.cosine);
  }
  const kept = new Set(columns.before);
  columns.lost = before.set.features.filter((feature) => !kept.has(feature));
  return columns;
}

/** Four decimals: beyond them float32 products differ from machine to machine. */
function rounded(cosine: number): number {
  return Number(cosine.toFixed(4));
}

async function openSide(store: ArtifactStore, key: string): Promise<Side> {
  const dashboard = await manifestOf(store, 'exportDashboard', key);
  const { inputs } = await specOf(store, dashboard, 'exportDashboard');
  const transformer = await manifestOf(store, 'trainTransformer', inputs.trainTransformer);
  const sae = await manifestOf(store, 'trainSae', inputs.trainSae);
  const { config } = await specOf(store, { stage: 'sampleActivations', key: inputs.sampleActivations }, 'sampleActivations');
  const { density } = densities.parse(JSON.parse(Buffer.from(await fileOf(store, dashboard, 'site/data/index.json')).toString()));
  const { W_dec: decoder } = decodeSafetensors(await fileOf(store, sae, 'sae_weights.safetensors')).tensors;
  const { l0, lossRecovered, fvu, alive } = dashboard.metrics;
  return {
    keys: { trainTransformer: inputs.trainTransformer, trainSae: inputs.trainSae, exportDashboard: key },
    hook: config.hook,
    metrics: { valLoss: transformer.metrics['valLoss']!, l0: l0!, lossRecovered: lossRecovered!, fvu: fvu!, alive: alive! },
    set: { decoder: decoder!.data as Float32Array, d: decoder!.shape[1]!, features: [...density.keys()].filter((feature) => density[feature]! > 0) },
  };
}

async function fileOf(store: ArtifactStore, manifest: Manifest, path: string): Promise<Uint8Array> {
  const entry = manifest.files.find((file) => file.path === path);
  if (entry === undefined) throw new UserError(`${store.uri}/${artifactPath(manifest, 'manifest.json')} names no file ${path}`, 'Delete the artifact and run its stage again.');
  return readVerified(store, { stage: manifest.stage, key: manifest.key }, entry);
}
