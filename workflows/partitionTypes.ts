// What a stage and its partitions say to each other: ranges of shard numbers, never data.
import type { FailedShard } from '../schemas/progress.ts';
import type { ArtifactId } from '../schemas/stages.ts';

/** Activities that make one shard; their names are what the UI shows. */
export type ShardActivity = 'tokenizeShard' | 'sampleShard' | 'readFeaturesShard' | 'writeFeaturesBlock' | 'mapFeatures' | 'writeTexts';

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

/** Shards that used up their attempts. */
export interface Parked {
  /** All of them, as shardRanges.ts writes them: `3,17-20`. */
  shards: string;
  /** Why the first ones failed; why the others did, the partition's history says. */
  errors: FailedShard[];
}

export interface PartitionInput {
  work: ShardWork;
  /** 0 for the first pass over all shards, then one more for each retry of parked ones. */
  round: number;
  index: number;
  /** Shards that are still to be started: `0-15999`. */
  shards: string;
  /** Shard activities in flight at once. */
  lanes: number;
  /** Start no more shards after the first that fails. */
  failFast: boolean;
  /** Shards between two reports to the stage. */
  reportEvery: number;
  /** What earlier runs of this partition (before continue-as-new) did. */
  completed: number;
  parked: Parked;
  paused: boolean;
  /** Place in the queues, 1 to 5, of the shards that are started from now on. */
  priority: number;
}

export interface PartitionResult {
  completed: number;
  parked: Parked;
}

export interface PartitionProgress {
  round: number;
  index: number;
  completed: number;
  failed: number;
}
