// A part of a fan-out in a history of its own: a sliding window of shard activities, parked failures, and
// continue-as-new before the history grows long. 16,000 shards are 27 runs of one partition.
import { condition, continueAsNew, isCancellation, setCurrentDetails, setHandler, workflowInfo } from '@temporalio/workflow';
import type { FailedShard } from '../schemas/progress.ts';
import { cpuShards, gpuShards } from './activityProxies.ts';
import { causeOf } from './failures.ts';
import { partitionProgressSignal, pauseSignal, resumeSignal } from './messages.ts';
import type { PartitionInput, PartitionResult, ShardRange, ShardWork } from './partitionTypes.ts';
import { Outbox } from './outbox.ts';
import { policies, shardsPerRun } from './policies.ts';

/** The first failures are reported at once: someone may be able to mend the cause while the rest goes on. */
const promptFailures = 5;
// A result that names 16,000 failed shards has to fit Temporal's 2 MB.
const longErrors = 100;
const longErrorChars = 300;
const shortErrorChars = 40;

/** Runs the shards of `input.ranges`; one that uses up its attempts is parked and the others go on. */
export async function shardPartition(input: PartitionInput): Promise<PartitionResult> {
  let { completed, paused } = input;
  const failed: FailedShard[] = [...input.failed];
  const queue = new ShardQueue(input.ranges);
  const { parent } = workflowInfo();
  const outbox = new Outbox();
  let started = 0;
  let reported = completed + failed.length;
  setHandler(pauseSignal, () => void (paused = true));
  setHandler(resumeSignal, () => void (paused = false));

  const report = (promptly: boolean) => {
    setCurrentDetails(`${completed} shards done, ${failed.length} parked, ${queue.remaining} to start${paused ? ', paused' : ''}`);
    const settled = completed + failed.length;
    if (!promptly && settled - reported < input.reportEvery && queue.remaining > 0) return;
    reported = settled;
    if (parent !== undefined) void outbox.send(parent.workflowId, partitionProgressSignal, { round: input.round, index: input.index, completed, failed: failed.length });
  };
  const lane = async () => {
    for (;;) {
      await condition(() => !paused);
      if (started >= shardsPerRun || (input.failFast && failed.length > 0)) return;
      const shard = queue.next();
      if (shard === undefined) return;
      started++;
      try {
        await runShard(input.work, shard);
        completed++;
        report(false);
      } catch (error) {
        if (isCancellation(error)) throw error;
        failed.push({ shard, error: causeOf(error).slice(0, failed.length < longErrors ? longErrorChars : shortErrorChars) });
        report(failed.length <= promptFailures);
      }
    }
  };
  await Promise.all(Array.from({ length: input.lanes }, lane));

  const stop = queue.remaining === 0 || (input.failFast && failed.length > 0);
  if (stop) return { completed, failed };
  return continueAsNew<typeof shardPartition>({ ...input, ranges: queue.ranges(), completed, failed, paused });
}

async function runShard({ activity, artifact, total, shardsBefore, attempts }: ShardWork, shard: number): Promise<void> {
  const digits = String(total).length;
  const noun = activity === 'writeFeaturesBlock' ? 'block' : 'shard';
  const summary = `${noun} ${String(shard).padStart(digits, '0')}/${total}`;
  const options = <Policy extends (typeof policies)['cpuShard' | 'gpuShard']>(policy: Policy) => ({ ...policy, retry: { ...policy.retry, maximumAttempts: attempts }, summary });
  switch (activity) {
    case 'tokenizeShard':
      await cpuShards.tokenizeShard.executeWithOptions(options(policies.cpuShard), [{ artifact, shard }]);
      return;
    case 'sampleShard':
      await gpuShards.sampleShard.executeWithOptions(options(policies.gpuShard), [{ artifact, shard }]);
      return;
    case 'readFeaturesShard':
      await gpuShards.readFeaturesShard.executeWithOptions(options(policies.gpuShard), [{ artifact, shard }]);
      return;
    case 'writeFeaturesBlock':
      await gpuShards.writeFeaturesBlock.executeWithOptions(options(policies.gpuShard), [{ artifact, block: shard, shards: shardsBefore }]);
  }
}

/** Shard numbers in order, out of ranges: 16,000 of them are two numbers. */
class ShardQueue {
  private readonly pending: [number, number][];

  constructor(ranges: readonly ShardRange[]) {
    this.pending = ranges.filter(([from, to]) => from < to).map(([from, to]) => [from, to]);
  }

  get remaining(): number {
    return this.pending.reduce((sum, [from, to]) => sum + to - from, 0);
  }

  next(): number | undefined {
    const [range] = this.pending;
    if (range === undefined) return undefined;
    const shard = range[0]++;
    if (range[0] >= range[1]) this.pending.shift();
    return shard;
  }

  ranges(): ShardRange[] {
    return this.pending.map(([from, to]) => [from, to]);
  }
}
