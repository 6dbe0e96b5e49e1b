// Held-out tokens, model and SAE → evaluation and feature pages: first every shard of tokens is read once for all
// features, then every block of features is written from all shards, then the map of all features, and last the example texts.
import type { StageResult, StagesResult } from '../schemas/progress.ts';
import { runShards } from './shards.ts';
import { makeArtifact } from './stage.ts';

/** Stage workflow `exportDashboard`: takes a stage's input, or what `pipeline` takes. */
export async function exportDashboard(input?: unknown): Promise<StageResult | StagesResult> {
  return makeArtifact('exportDashboard', input, 'shards', async (control, { shards, blocks }, artifact) => {
    const skipped = await runShards(control, { activity: 'readFeaturesShard', artifact, total: shards, shardsBefore: 0, skippable: true, unit: 'shards' });
    await runShards(control, { activity: 'writeFeaturesBlock', artifact, total: blocks, shardsBefore: shards, skippable: false, unit: 'blocks' });
    await runShards(control, { activity: 'mapFeatures', artifact, total: 1, shardsBefore: shards + blocks, skippable: false, unit: 'map' });
    await runShards(control, { activity: 'writeTexts', artifact, total: 1, shardsBefore: shards + blocks + 1, skippable: false, unit: 'sets of texts' });
    return skipped;
  });
}
