// What can be said to a workflow and asked of it. Names are those of the UI's and CLI's forms; payloads are in schemas/.
import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { ArtifactRef } from '../schemas/artifact.ts';
import type { RunProgress, ShardSelection, StagePlan, StageProgress } from '../schemas/progress.ts';
import type { SupplyAnswer, SupplyRequest } from '../schemas/supply.ts';
import type { PartitionProgress } from './partitionTypes.ts';

/** What Temporal's UI says beside the names of handlers. */
export const descriptions = {
  pause: { description: 'Finish the step, save a checkpoint, free the GPU, wait. No input.' },
  resume: { description: 'Go on after pause. No input.' },
  setPriority: { description: 'Place in the queues from now on: 1 (first) to 5 (last).' },
  priorityChanged: { description: 'Internal: setPriority, handed on to stages and partitions.' },
  watch: { description: 'Internal: a pipeline asks to be told of progress too.' },
  stageProgress: { description: 'Internal: a stage tells how far it is.' },
  partitionProgress: { description: 'Internal: a partition tells how far it is.' },
  supplyRequest: { description: 'Internal: a training says which activation shards it reads next.' },
  supplyLeave: { description: 'Internal: a training reads no more.' },
  supplyAnswer: { description: 'Internal: the shards that were asked for are there.' },
  retryFailedShards: { description: 'Try parked shards again: {} for all, {"shards": [1, 2]} for these.' },
  skipFailedShards: { description: 'Go on without parked shards: {} for all, {"shards": [1, 2]} for these.' },
  abort: { description: 'Give this stage up; what is finished is kept. The input is the reason, a text.' },
} as const;

/** To a pipeline or a stage: save a checkpoint, release the compute process, wait. Shards in flight finish first. */
export const pauseSignal = defineSignal('pause');
export const resumeSignal = defineSignal('resume');

/** To a pipeline or a stage: the place in the queues of every activity from now on, 1 (first) to 5 (last). */
export const setPriorityUpdate = defineUpdate<number, [priority: number]>('setPriority');
/** From a pipeline to its stages, and from a stage to its partitions. */
export const priorityChangedSignal = defineSignal<[priority: number]>('priorityChanged');

/** From a pipeline to a stage that another run started: report to me too. */
export const watchSignal = defineSignal<[workflowId: string]>('watch');
/** From a stage to the pipelines that wait for it. */
export const stageProgressSignal = defineSignal<[StageProgress]>('stageProgress');
/** From a partition to its stage. */
export const partitionProgressSignal = defineSignal<[PartitionProgress]>('partitionProgress');

/** From an SAE's training to the supply of its activations: what it reads next, and that it reads no more. */
export const supplyRequestSignal = defineSignal<[SupplyRequest]>('supplyRequest');
export const supplyLeaveSignal = defineSignal<[consumer: string]>('supplyLeave');
/** The supply's answer. */
export const supplyAnswerSignal = defineSignal<[SupplyAnswer]>('supplyAnswer');

/** Of a pipeline. */
export const runProgressQuery = defineQuery<RunProgress>('progress');
export const runPlanQuery = defineQuery<StagePlan[]>('plan');
/** Of a stage. */
export const stageProgressQuery = defineQuery<StageProgress>('progress');
export const stagePlanQuery = defineQuery<StagePlan | null>('plan');
/** Of both: what is finished. */
export const artifactsQuery = defineQuery<ArtifactRef[]>('artifacts');

/** To a stage that is blocked by parked shards; each answers with the shards it takes. No argument means all. */
export const retryFailedShardsUpdate = defineUpdate<number[], [ShardSelection]>('retryFailedShards');
export const skipFailedShardsUpdate = defineUpdate<number[], [ShardSelection]>('skipFailedShards');
/** Gives a blocked stage up; what is finished stays in the store. */
export const abortUpdate = defineUpdate<void, [reason: string]>('abort');
