// Tokens and a model → activations of one hook, shard by shard of prompts.
import type { StageInput, StageResult } from '../schemas/progress.ts';
import { runShards } from './shards.ts';
import { makeArtifact } from './stage.ts';

/** Stage workflow `sampleActivations`. */
export async function sampleActivations(input: StageInput): Promise<StageResult> {
  return makeArtifact('sampleActivations', input, 'shards', (control, plan, artifact) =>
    runShards(control, { activity: 'sampleShard', artifact, total: plan.shards, shardsBefore: 0, skippable: true, unit: 'shards' }),
  );
}
