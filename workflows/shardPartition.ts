// A part of a fan-out in a history of its own: a sliding window of shard activities, parked failures, and
// continue-as-new before the history grows long. 16,000 shards are some 40 runs of one partition.
import { condition, continueAsNew, isCancellation, setCurrentDetails, setHandler, workflowInfo } from '@temporalio/workflow';
import type { FailedShard } from '../schemas/progress.ts';
import { cpuShards, gpuShards } from './activityProxies.ts';
import { describeFailure, shortened } from './failures.ts';
import { isLong } from './longHistory.ts';
import { descriptions, partitionProgressSignal, pauseSignal, priorityChangedSignal, resumeSignal } from './messages.ts';
import type { Parked, PartitionInput, PartitionResult, ShardWork } from './partitionTypes.ts';
import { Outbox } from './outbox.ts';
import { atPriority, policies } from './policies.ts';
import { formatShards, parseShards, rangesOf, shardsIn, ShardQueue } from './shardRanges.ts';

/** The first failures are reported at once: someone may be able to mend the cause while the rest goes on. */
const promptFailures = 5;
/** A report wakes both workflows once more: shards of milliseconds are not worth one each. What is last said is the result. */
const reportEveryMs = 1_000;
/** Errors that are handed on in words. With the numbers of 16,000 shards they have to fit a payload of 64 KiB. */
const errorsInWords = 10;
/** A file's path, two hashes and a remedy. */
const errorChars = 800;

/** Runs `input.shards`; one that uses up its attempts is parked and the others go on. */
export async function shardPartition(input: PartitionInput): Promise<PartitionResult> {
  let { completed, paused, priority } = input;
  const parked = new Set(shardsIn(parseShards(input.parked.shards)));
  const errors: FailedShard[] = [...input.parked.errors];
  const queue = new ShardQueue(parseShards(input.shards));
  const { parent } = workflowInfo();
  const outbox = new Outbox();
  let reported = completed + parked.size;
  let reportedMs = Date.now();
  setHandler(pauseSignal, () => void (paused = true), descriptions.pause);
  setHandler(resumeSignal, () => void (paused = false), descriptions.resume);
  setHandler(priorityChangedSignal, (newer) => void (priority = newer), descriptions.priorityChanged);

  const report = (promptly: boolean) => {
    setCurrentDetails(`${completed} shards done, ${parked.size} parked, ${queue.remaining} to start${paused ? ', paused' : ''}`);
    const settled = completed + parked.size;
    const nowMs = Date.now();
    if (!promptly && (settled - reported < input.reportEvery || nowMs - reportedMs < reportEveryMs)) return;
    reported = settled;
    reportedMs = nowMs;
    if (parent !== undefined) void outbox.send(parent.workflowId, partitionProgressSignal, { round: input.round, index: input.index, completed, failed: parked.size });
  };
  const failedFast = () => input.failFast && parked.size > 0;
  const lane = async () => {
    for (;;) {
      await condition(() => !paused);
      if (isLong() || failedFast()) return;
      const shard = queue.next();
      if (shard === undefined) return;
      try {
        await runShard(input.work, shard, priority);
        completed++;
        report(false);
      } catch (error) {
        if (isCancellation(error)) throw error;
        parked.add(shard);
        if (errors.length < errorsInWords) errors.push({ shard, error: shortened(describeFailure(error), errorChars) });
        report(parked.size <= promptFailures);
      }
    }
  };
  await Promise.all(Array.from({ length: input.lanes }, lane));

  const result: PartitionResult = { completed, parked: { shards: formatShards(rangesOf(parked)), errors } satisfies Parked };
  if (queue.remaining === 0 || failedFast()) return result;
  return continueAsNew<typeof shardPartition>({ ...input, ...result, shards: formatShards(queue.ranges()), paused, priority });
}

async function runShard({ activity, artifact, total, shardsBefore, attempts }: ShardWork, shard: number, priority: number): Promise<void> {
  const digits = String(total).length;
  const noun = activity === 'writeFeaturesBlock' ? 'block' : 'shard';
  const wholes: Partial<Record<ShardWork['activity'], string>> = { mapFeatures: 'map of the features', writeTexts: 'example texts, and the model for the page' };
  const summary = wholes[activity] ?? `${noun} ${String(shard).padStart(digits, '0')}/${total}`;
  const options = (policy: (typeof policies)['cpuShard' | 'gpuShard']) => atPriority({ ...policy, retry: { ...policy.retry, maximumAttempts: attempts } }, priority, summary);
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
      return;
    case 'mapFeatures':
      await gpuShards.mapFeatures.executeWithOptions(options(policies.gpuShard), [{ artifact, block: shard, shards: shardsBefore }]);
      return;
    case 'writeTexts':
      await gpuShards.writeTexts.executeWithOptions(options(policies.gpuShard), [{ artifact, shard: shardsBefore + shard }]);
  }
}
