// Documents → token shards and a document index.
import type { StageInput, StageResult } from '../schemas/progress.ts';
import { runShards } from './shards.ts';
import { makeArtifact } from './stage.ts';

/** Stage workflow `tokenize`. */
export async function tokenize(input: StageInput): Promise<StageResult> {
  return makeArtifact('tokenize', input, 'shards', (control, plan, artifact) =>
    runShards(control, { activity: 'tokenizeShard', artifact, total: plan.shards, shardsBefore: 0, skippable: true, unit: 'shards' }),
  );
}
