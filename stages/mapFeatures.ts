// The map of an SAE's features, for the dashboard: which decoder rows lie near each other, in two dimensions. Of more
// features than a map can show, the densest.
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { artifactPath, readReceipt, readVerified } from '../data/artifact.ts';
import { blockReceipt, mapPath } from '../data/dashboardSite.ts';
import { specOf } from '../data/inputs.ts';
import { planStage } from '../data/plans.ts';
import { clustersOf, layoutRows } from '../model/featureMap.ts';
import type { Receipt } from '../schemas/artifact.ts';
import { featureMap } from '../schemas/dashboard.ts';
import { UserError } from '../schemas/errors.ts';
import { RandomStream } from '../schemas/random.ts';
import type { ArtifactId } from '../schemas/stages.ts';
import { openSae } from './artifacts.ts';
import { breathe, StoppedError, type JobContext } from './context.ts';

/** More points are a blot, and UMAP takes minutes. */
const mostMapped = 16_384;
const densityColumn = z.looseObject({ density: z.array(z.number()) });

/** Writes map.json from the decoder and the densities of all blocks. */
export async function mapFeatures(id: ArtifactId, context: JobContext): Promise<Receipt> {
  const started = performance.now();
  const { store } = context;
  const spec = await specOf(store, id, 'exportDashboard');
  const { shards, blocks } = await planStage(store, spec);
  const densities = await densitiesOf(id, shards, blocks, context);
  const features = chosenFeatures(densities);
  const { sae, mean } = await openSae(store, spec.inputs.trainSae);
  const rows = tf.tidy(() => (features.length === 0 ? tf.zeros<tf.Rank.R2>([0, mean.size]) : tf.gather(sae.W_dec, tf.tensor1d(features, 'int32'))));
  const layout = await layoutRows(rows, new RandomStream(0, 'featureMap', spec.inputs.trainSae), async (share) => {
    context.report({ done: share, total: 1, unit: 'map', metrics: {} });
    await breathe();
    if (context.shouldStop()) throw new StoppedError();
  });
  tf.dispose([{ ...sae }, mean, rows]);
  const map = featureMap.parse({ features, ...layout, cluster: clustersOf(layout) });
  const stored = await store.put(artifactPath(id, mapPath), Buffer.from(JSON.stringify(map)));
  return { shard: blockReceipt(shards, blocks), files: [{ path: mapPath, ...stored, rows: features.length }], metrics: { mapped: features.length }, seconds: (performance.now() - started) / 1000, device: context.device };
}

async function densitiesOf(id: ArtifactId, shards: number, blocks: number, { store }: JobContext): Promise<number[]> {
  const densities: number[] = [];
  for (let block = 0; block < blocks; block++) {
    const receipt = await readReceipt(store, id, blockReceipt(shards, block));
    const file = receipt?.files.find(({ path }) => path.startsWith('work/index/'));
    if (file === undefined) throw new UserError(`${id.stage}/${id.key}: block ${block} has no columns of the index`, 'Retry the failed blocks.');
    for (const density of densityColumn.parse(JSON.parse(Buffer.from(await readVerified(store, id, file)).toString())).density) densities.push(density);
  }
  return densities;
}

/** Features that fired, at most the densest `mostMapped`, in the order of their numbers. */
export function chosenFeatures(densities: readonly number[]): number[] {
  const fired = Array.from(densities.keys()).filter((feature) => densities[feature]! > 0);
  if (fired.length <= mostMapped) return fired;
  return fired.sort((a, b) => densities[b]! - densities[a]! || a - b).slice(0, mostMapped).sort((a, b) => a - b);
}
