// The SAE that SAELens read and evaluated (test/oracle/saelens), as the artifacts of a run that is ready for its dashboard.
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { specKey, writeSpec } from '../../data/artifact.ts';
import type { ArtifactStore } from '../../data/artifactStore.ts';
import { activationsConfig, architectureConfig, corpusConfig, dashboardConfig, saeConfig, tokenizeConfig, transformerTrainingConfig, type DashboardConfig } from '../../schemas/config.ts';
import type { ArtifactId, StageSpec } from '../../schemas/stages.ts';
import { putArtifact } from './finishedArtifacts.ts';

/** A file of test/oracle. */
export const oracleFile = (name: string) => readFileSync(new URL(`../oracle/${name}`, import.meta.url));

export const cfg = z
  .object({ d_in: z.int(), d_sae: z.int(), metadata: z.looseObject({ hook_name: z.string() }) })
  .parse(JSON.parse(oracleFile('saelens/cfg.json').toString()));

/** The checked-in export as the artifacts of a run. */
export async function dashboardOfExport(store: ArtifactStore, dashboard: Partial<DashboardConfig> = {}): Promise<ArtifactId> {
  const given = (path: string) => ({ path, bytes: oracleFile(`saelens/${path}`) });
  const architecture = architectureConfig.parse(JSON.parse(oracleFile('saelens/model.json').toString()));
  const tokens = oracleFile('saelens/tokens.bin');
  const heldOut = { path: 'shards/00000.heldOut.bin', bytes: tokens, rows: tokens.length / 2 };
  const unknown = '0'.repeat(64);
  const tokenize = await putArtifact(store, { stage: 'tokenize', config: { corpus: corpusConfig.parse({}), tokenize: tokenizeConfig.parse({ vocabSize: 300 }) }, inputs: { corpus: unknown } }, [heldOut], { heldOutTokens: tokens.length / 2 });
  const model: StageSpec = { stage: 'trainTransformer', config: { seed: 1, architecture, training: transformerTrainingConfig.parse({}) }, inputs: { tokenize: tokenize.key } };
  const trainTransformer = await putArtifact(store, model, [given('model.safetensors')], {});
  const sampled: StageSpec = { stage: 'sampleActivations', config: { seed: 1, hook: cfg.metadata.hook_name, activations: activationsConfig.parse({}) }, inputs: { tokenize: tokenize.key, trainTransformer: trainTransformer.key } };
  const sampleActivations = await putArtifact(store, sampled, [], {});
  const trained: StageSpec = { stage: 'trainSae', config: { seed: 1, sae: saeConfig.parse({ features: cfg.d_sae }) }, inputs: { sampleActivations: sampleActivations.key } };
  const trainSae = await putArtifact(store, trained, [given('sae_weights.safetensors'), given('activation_mean.safetensors')], {});
  const inputs = { tokenize: tokenize.key, trainTransformer: trainTransformer.key, sampleActivations: sampleActivations.key, trainSae: trainSae.key };
  const spec: StageSpec = { stage: 'exportDashboard', config: { dashboard: dashboardConfig.parse({ batchWindows: 10, ...dashboard }) }, inputs };
  const id: ArtifactId = { stage: spec.stage, key: specKey(spec) };
  await writeSpec(store, id, spec);
  return id;
}
