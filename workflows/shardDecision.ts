// The one place that decides how a stage goes on once no shard is running: a pure function, so that its truth table
// can be tested in full.
import type { ExecutionConfig } from '../schemas/config.ts';

export interface ShardCounts {
  total: number;
  completed: number;
  /** Parked: used up their attempts. */
  failed: number;
  skipped: number;
  policy: ExecutionConfig['onShardFailure'];
  minShardFraction: number;
  /** False where a missing piece would make the artifact useless. */
  skippable: boolean;
}

/**
 * `run`: shards remain that nobody has tried. `finish`: commit. `wait`: only parked shards remain, a person decides.
 * `skip`: leave the parked ones out, then finish. `fail`: give the stage up.
 */
export type ShardDecision = 'run' | 'finish' | 'wait' | 'skip' | 'fail';

/** How a stage goes on. */
export function decide(counts: ShardCounts): ShardDecision {
  const { total, completed, failed, skipped, policy } = counts;
  if (failed > 0 && policy === 'fail') return 'fail';
  if (completed + failed + skipped < total) return 'run';
  if (failed === 0) return 'finish';
  return policy === 'skip' && maySkip(counts, failed) ? 'skip' : 'wait';
}

/** True when `more` of the parked shards can be left out and at least minShardFraction of all shards would remain. */
export function maySkip({ total, skipped, minShardFraction, skippable }: ShardCounts, more: number): boolean {
  return skippable && total - skipped - more >= minShardFraction * total;
}
