// A stage's fan-out: shards dealt to partitions, and, when only parked shards remain, a person's decision by Update.
import { ApplicationFailure, CancellationScope, isCancellation, setHandler, startChild, workflowInfo, type SignalDefinition } from '@temporalio/workflow';
import { partitionProgressSignal, pauseSignal, priorityChangedSignal, resumeSignal } from './messages.ts';
import { Outbox } from './outbox.ts';
import { ParkedShards } from './parkedShards.ts';
import type { PartitionInput, PartitionProgress, PartitionResult, ShardWork } from './partitionTypes.ts';
import { lanesPerPartition, maxPartitions } from './policies.ts';
import { decide, type ShardCounts } from './shardDecision.ts';
import type { shardPartition } from './shardPartition.ts';
import { countOf, deal, formatShards, rangesOf, type ShardRange } from './shardRanges.ts';
import type { Follower, StageControl } from './stageControl.ts';

/** What a fan-out is made of; attempts and concurrency come from the stage's execution settings. */
export interface FanOut extends Omit<ShardWork, 'attempts'> {
  skippable: boolean;
  unit: string;
}

/**
 * Runs all shards and returns those that were left out. Parked shards block the stage, fail it or are skipped, as
 * execution.onShardFailure says.
 */
export async function runShards(control: StageControl, fanOut: FanOut): Promise<number[]> {
  const { execution, leaveOut = [] } = control.input;
  const { total, skippable, unit, ...rest } = fanOut;
  const work: ShardWork = { ...rest, total, attempts: execution.shardAttempts };
  const skipped: number[] = skippable ? leaveOut.filter((shard) => shard < total) : [];
  let completed = 0;
  const parked = new ParkedShards();
  const left = new Set(skipped);
  let pending: ShardRange[] = left.size === 0 ? [[0, total]] : rangesOf(Array.from({ length: total }, (_, shard) => shard).filter((shard) => !left.has(shard)));
  const counts = (): ShardCounts => ({ total, completed, failed: parked.size, skipped: skipped.length, policy: execution.onShardFailure, minShardFraction: execution.minShardFraction, skippable });
  control.report({ state: 'running', done: 0, total, unit, failedShards: 0 });

  for (let round = 0; ; ) {
    const decision = decide(counts());
    switch (decision) {
      case 'run': {
        await control.untilResumed();
        const results = await runPartitions(control, work, pending, round++, completed, parked.size);
        pending = [];
        for (const result of results) {
          completed += result.completed;
          parked.add(result.parked);
        }
        control.report({ done: completed, failedShards: parked.size });
        break;
      }
      case 'finish':
        return skipped.sort((a, b) => a - b);
      case 'skip':
        skipped.push(...parked.take());
        control.report({ failedShards: 0 });
        break;
      case 'fail': {
        const explained = parked.explained();
        const [first] = explained;
        throw ApplicationFailure.nonRetryable(`${parked.size} of ${total} ${unit} failed; the first, ${first?.shard}: ${first?.error}`, 'ShardsFailed', explained.slice(0, 20));
      }
      case 'wait': {
        const answer = await parked.askPerson(control, counts());
        if (answer.action === 'abort') throw ApplicationFailure.nonRetryable(`aborted with ${parked.size} of ${total} ${unit} parked: ${answer.reason}`, 'Aborted');
        const chosen = parked.take(answer.shards);
        if (answer.action === 'skip') skipped.push(...chosen);
        else pending = rangesOf(chosen);
        control.report({ state: 'running', failedShards: parked.size });
      }
    }
  }
}

/** Deals the ranges to child workflows; returns what each did. */
async function runPartitions(control: StageControl, work: ShardWork, ranges: readonly ShardRange[], round: number, completedBefore: number, parkedBefore: number): Promise<PartitionResult[]> {
  const { concurrency, onShardFailure } = control.input.execution;
  const shards = countOf(ranges);
  const partitions = Math.min(maxPartitions, Math.ceil(concurrency / lanesPerPartition), Math.ceil(shards / 64));
  const failFast = onShardFailure === 'fail';
  const prefix = `${workflowInfo().workflowId}/${work.activity}${round === 0 ? '' : `-retry-${round}`}`;
  const progress: PartitionProgress[] = [];
  setHandler(partitionProgressSignal, (report) => {
    if (report.round !== round) return;
    progress[report.index] = report;
    const sum = (field: 'completed' | 'failed') => progress.reduce((total, part) => total + part[field], 0);
    control.report({ done: completedBefore + sum('completed'), failedShards: parkedBefore + sum('failed') });
  });

  const outbox = new Outbox();
  const running = new Set<string>();
  const signalAll = <Args extends unknown[]>(signal: SignalDefinition<Args>, ...args: Args) => {
    for (const id of running) void outbox.send(id, signal, ...args);
  };
  const outer = CancellationScope.current();
  const scope = new CancellationScope();
  const runOne = async (part: readonly ShardRange[], index: number): Promise<PartitionResult> => {
    const lanes = share(Math.min(concurrency, shards), partitions, index);
    const { paused, priority } = control;
    const input: PartitionInput = { work, round, index, shards: formatShards(part), lanes, failFast, reportEvery: Math.ceil(work.total / 50), completed: 0, parked: { shards: '', errors: [] }, paused, priority };
    const workflowId = `${prefix}-${index}`;
    try {
      const child = await startChild<typeof shardPartition>('shardPartition', { workflowId, args: [input], priority: { priorityKey: priority }, staticSummary: `${work.activity}: ${shards} shards, part ${index + 1} of ${partitions}` });
      running.add(workflowId);
      if (control.paused !== paused) signalAll(control.paused ? pauseSignal : resumeSignal);
      if (control.priority !== priority) signalAll(priorityChangedSignal, control.priority);
      const result = await child.result();
      if (failFast && result.parked.shards !== '') scope.cancel();
      return result;
    } catch (error) {
      // With onShardFailure `fail` the first partition that failed ends the others; whatever they finished is in the store.
      const endedByAnother = scope.consideredCancelled && !outer.consideredCancelled && isCancellation(error);
      if (!endedByAnother) throw error;
      return { completed: 0, parked: { shards: '', errors: [] } };
    } finally {
      running.delete(workflowId);
    }
  };
  const all = scope.run(() => Promise.all(deal(ranges, partitions).map(runOne)));
  const partitionsTold: Follower = {
    pause: () => {
      signalAll(pauseSignal);
      control.report({ state: 'paused' });
    },
    resume: () => {
      signalAll(resumeSignal);
      control.report({ state: 'running' });
    },
    prioritize: (priority) => signalAll(priorityChangedSignal, priority),
  };
  return control.forwarding(partitionsTold, all);
}

/** The index-th of `parts` nearly equal shares of `whole`, at least 1. */
function share(whole: number, parts: number, index: number): number {
  return Math.max(1, Math.floor(((index + 1) * whole) / parts) - Math.floor((index * whole) / parts));
}
