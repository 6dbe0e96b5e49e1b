// Documents → token shards and a document index.
import type { StageResult, StagesResult } from '../schemas/progress.ts';
import { runShards } from './shards.ts';
import { makeArtifact } from './stage.ts';

/** Stage workflow `tokenize`: takes a stage's input, or what `pipeline` takes. */
export async function tokenize(input?: unknown): Promise<StageResult | StagesResult> {
  return makeArtifact('tokenize', input, 'shards', (control, plan, artifact) =>
    runShards(control, { activity: 'tokenizeShard', artifact, total: plan.shards, shardsBefore: 0, skippable: true, unit: 'shards' }),
  );
}
