// Tokens and a model → activations of one hook, shard by shard of prompts.
import type { StageResult, StagesResult } from '../schemas/progress.ts';
import { runShards } from './shards.ts';
import { makeArtifact } from './stage.ts';

/** Stage workflow `sampleActivations`: takes a stage's input, or what `pipeline` takes. */
export async function sampleActivations(input?: unknown): Promise<StageResult | StagesResult> {
  return makeArtifact('sampleActivations', input, 'shards', (control, plan, artifact) =>
    runShards(control, { activity: 'sampleShard', artifact, total: plan.shards, shardsBefore: 0, skippable: true, unit: 'shards' }),
  );
}
