// What a stage and its partitions say to each other: ranges of shard numbers, never data.
import type { FailedShard } from '../schemas/progress.ts';
import type { ArtifactId } from '../schemas/stages.ts';

/** Activities that make one shard; their names are what the UI shows. */
export type ShardActivity = 'tokenizeShard' | 'sampleShard' | 'readFeaturesShard' | 'writeFeaturesBlock';

/** Shards [from, to). */
export type ShardRange = readonly [from: number, to: number];

export interface ShardWork {
  activity: ShardActivity;
  artifact: ArtifactId;
  /** Shards in all, for summaries such as "shard 0123/4096". */
  total: number;
  /** Shards of the fan-out before this one in the same stage, 0 for the first. */
  shardsBefore: number;
  /** Attempts before a shard is parked. */
  attempts: number;
}

export interface PartitionInput {
  work: ShardWork;
  /** 0 for the first pass over all shards, then one more for each retry of parked ones. */
  round: number;
  index: number;
  ranges: readonly ShardRange[];
  /** Shard activities in flight at once. */
  lanes: number;
  /** Start no more shards after the first that fails. */
  failFast: boolean;
  /** Shards between two reports to the stage. */
  reportEvery: number;
  /** What earlier runs of this partition (before continue-as-new) did. */
  completed: number;
  failed: readonly FailedShard[];
  paused: boolean;
}

export interface PartitionResult {
  completed: number;
  failed: FailedShard[];
}

export interface PartitionProgress {
  round: number;
  index: number;
  completed: number;
  failed: number;
}
