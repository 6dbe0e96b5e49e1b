// Activities of the workflow tests: real functions on a store in memory whose shards and segments are as small as can be,
// and which can be told to fail, to be slow, and asked what ran how often.
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Context } from '@temporalio/activity';
import { CancelledFailure } from '@temporalio/common';
import type { CommitInput } from '../../activities/commitStage.ts';
import type { CpuActivities } from '../../activities/cpu.ts';
import type { FinishedRun } from '../../data/report.ts';
import type { GpuActivities } from '../../activities/gpu.ts';
import type { BlockInput, ShardInput, ShardSummary } from '../../activities/shardJob.ts';
import type { DropInput, ReadingInput } from '../../activities/shardSupply.ts';
import { specKey } from '../../data/artifact.ts';
import type { ComparedKeys, PreviousRun, SaeComparison } from '../../schemas/comparison.ts';
import type { ArtifactRef } from '../../schemas/artifact.ts';
import type { CorpusConfig, PipelineConfig, TokenizeConfig } from '../../schemas/config.ts';
import type { GarbageSearchInput } from '../../schemas/garbage.ts';
import type { LabelBatchInput } from '../../schemas/labels.ts';
import type { StagePlan } from '../../schemas/progress.ts';
import type { Reading } from '../../schemas/supply.ts';
import type { ArtifactId, StageSpec } from '../../schemas/stages.ts';

const hashOf = (value: unknown) => createHash('sha256').update(JSON.stringify(value)).digest('hex');

export class World {
  /** Plan of stages that are not in the store. */
  plan: Pick<StagePlan, 'shards' | 'blocks' | 'milestones' | 'resamplings'> = { shards: 4, blocks: 2, milestones: [20, 40, 60], resamplings: [40] };
  /** Shards that fail, with their error. */
  readonly failing = new Map<number, string>();
  /** '' for shards of every kind. */
  failingActivity = '';
  shardMs = 0;
  stepMs = 0;
  /** Names of all activities that ran to their end, with their argument in short, in order. */
  readonly log: string[] = [];
  /** Shard attempts, by `activity/shard`. */
  readonly attempts = new Map<string, number>();
  readonly commits: CommitInput[] = [];
  readonly published: FinishedRun[] = [];
  /** What comparisons of SAEs fail with. */
  comparisonError: string | undefined;
  private readonly store = new Map<string, ArtifactRef>();
  /** Steps done, by artifact key: the checkpoints. */
  private readonly steps = new Map<string, number>();
  /** The budget of labels. */
  labelRequests = Infinity;
  /** Above 0, activations are consumed. */
  windowShards = 0;
  private readonly specs = new Map<string, StageSpec>();
  /** Activation shards whose files are there, and those that were ever made. */
  readonly present = new Set<number>();
  readonly made = new Set<number>();
  mostPresent = 0;
  /** Steps that read one shard: shard n those of [n · stepsPerShard, …). */
  stepsPerShard = 10;
  inFlight = 0;
  mostInFlight = 0;

  /** The activities; `activities` of a worker of both queues. */
  activities(): CpuActivities & GpuActivities {
    return {
      hashConfig: async (config: PipelineConfig) => hashOf(config),
      resolveCorpus: async ({ paths }: CorpusConfig) => ({ key: hashOf(paths), bytes: 1, files: 1 }),
      resolveTokenizer: async (config: TokenizeConfig) => {
        this.log.push(`resolveTokenizer ${config.tokenizer === 'gpt2' ? 'gpt2' : config.tokenizer.file}`);
        return config.tokenizer === 'gpt2' ? config : { ...config, tokenizer: { ...config.tokenizer, sha256: hashOf('tokenizer') }, vocabSize: 701 };
      },
      planStage: async (spec: StageSpec) => {
        const key = specKey(spec);
        this.specs.set(key, spec);
        const activations = spec.stage === 'trainSae' && this.windowShards > 0 ? this.specs.get(spec.inputs.sampleActivations) : undefined;
        return { key, found: this.store.get(key) ?? null, ...this.plan, ...(activations === undefined ? {} : { supply: { spec: activations, windowShards: this.windowShards } }) };
      },
      commitStage: async (input: CommitInput) => this.commit(input),
      findPreviousRun: async ({ run }: { run: string }) => this.previous(run),
      compareSaes: async (keys: ComparedKeys) => this.compare(keys),
      labelBatch: async ({ features, spent }: LabelBatchInput) => {
        this.log.push(`labelBatch ${features.join(',')}`);
        const requests = spent.requests + 3 * features.length;
        return { labelled: features.length, skipped: 0, spent: { ...spent, requests }, budgetReached: requests >= this.labelRequests };
      },
      collectGarbage: async ({ delete: deleted = false }: GarbageSearchInput) => {
        this.log.push(`collectGarbage ${deleted}`);
        return { deleted, files: 0, bytes: 0, kinds: [], renewed: 0, spared: [], unfinished: { artifacts: 0, bytes: 0 } };
      },
      publishRun: async (finished: FinishedRun) => {
        this.published.push(finished);
        return { reportUri: `memory/${finished.run}.json` };
      },
      planReading: async ({ job }: ReadingInput) => this.reading(job),
      lookAtShards: async () => ({ total: this.plan.shards, present: [...this.present], made: this.made.size, retention: 'consume' as const }),
      dropShards: async ({ shards }: DropInput) => {
        for (const shard of shards) this.present.delete(shard);
        this.log.push(`dropShards ${shards.join()}`);
      },
      supplyShard: async (input: ShardInput) => {
        const summary = await this.shard('supplyShard', input.shard);
        const found = this.made.has(input.shard);
        this.made.add(input.shard);
        this.present.add(input.shard);
        this.mostPresent = Math.max(this.mostPresent, this.present.size);
        return { ...summary, found };
      },
      tokenizeShard: (input: ShardInput) => this.shard('tokenizeShard', input.shard),
      sampleShard: (input: ShardInput) => this.shard('sampleShard', input.shard),
      readFeaturesShard: (input: ShardInput) => this.shard('readFeaturesShard', input.shard),
      writeFeaturesBlock: ({ block, shards }: BlockInput) => this.shard(`writeFeaturesBlock+${shards}`, block),
      mapFeatures: ({ block, shards }: BlockInput) => this.shard(`mapFeatures+${shards}`, block),
      writeTexts: ({ shard }: ShardInput) => this.shard('writeTexts', shard),
      trainTransformerSegment: (input: { artifact: ArtifactId; toStep: number }) => this.segment('trainTransformerSegment', input),
      trainSaeSegment: (input: { artifact: ArtifactId; toStep: number; stopAt?: number | undefined }) => this.suppliedSegment(input),
      initialiseSae: async () => {
        this.log.push('initialiseSae');
        return { step: 0, metrics: {} };
      },
      resampleSae: async ({ step }: { step: number }) => {
        this.log.push(`resampleSae ${step}`);
        return { step, dead: 3, resampled: 3, metrics: {} };
      },
    };
  }

  stepsOf(key: string): number {
    return this.steps.get(key) ?? 0;
  }

  private async shard(activity: string, shard: number): Promise<ShardSummary> {
    const name = `${activity}/${shard}`;
    this.attempts.set(name, (this.attempts.get(name) ?? 0) + 1);
    this.mostInFlight = Math.max(this.mostInFlight, ++this.inFlight);
    try {
      if (this.shardMs > 0) await sleep(this.shardMs);
      const error = activity.startsWith(this.failingActivity) ? this.failing.get(shard) : undefined;
      if (error !== undefined) throw new Error(error);
      this.log.push(name);
      return { shard, found: false, files: 0, bytes: 0, seconds: 0, device: 'cpu', metrics: {} };
    } finally {
      this.inFlight--;
    }
  }

  private async suppliedSegment({ artifact, toStep, stopAt = toStep }: { artifact: ArtifactId; toStep: number; stopAt?: number | undefined }): Promise<{ step: number; metrics: Record<string, number>; absent?: true }> {
    const shard = Math.min(this.plan.shards - 1, Math.floor(this.stepsOf(artifact.key) / this.stepsPerShard));
    if (this.windowShards > 0 && !this.present.has(shard)) return { step: this.stepsOf(artifact.key), metrics: {}, absent: true };
    return this.segment('trainSaeSegment', { artifact, toStep: stopAt });
  }

  private reading(job: ReadingInput['job']): Reading {
    const last = this.plan.shards - 1;
    const [from, toStep] = job.kind === 'segment' ? [job.from, job.toStep] : job.kind === 'resample' ? [job.step, job.step] : [0, 0];
    const position = Math.min(last, Math.floor(from / this.stepsPerShard));
    const stopAt = Math.min(toStep, (position + 1) * this.stepsPerShard);
    return { from, stopAt, position, need: [position], next: [position + 1, position + 2].filter((shard) => shard <= last) };
  }

  private async segment(activity: string, { artifact: { key }, toStep }: { artifact: ArtifactId; toStep: number }): Promise<{ step: number; metrics: Record<string, number> }> {
    const { cancellationSignal, heartbeat } = Context.current();
    for (let step = this.stepsOf(key); step < toStep; ) {
      if (this.stepMs > 0) await sleep(this.stepMs);
      this.steps.set(key, ++step);
      heartbeat(step);
      if (cancellationSignal.aborted) throw new CancelledFailure('saved and stopped');
    }
    this.log.push(`${activity} ${toStep}`);
    return { step: toStep, metrics: { loss: 1 / toStep } };
  }

  private previous(run: string): PreviousRun | null {
    const last = this.published.findLast((finished) => finished.run === run);
    if (last === undefined) return null;
    const { configHash, workflowId, finishedAt, config } = last;
    const stages = last.stages.map(({ artifact: { stage, key } }) => ({ stage, key }));
    const dashboards = stages.filter(({ stage }) => stage === 'exportDashboard');
    return { configHash, workflowId, finishedAt, stages, saes: config.saes.map(({ name }, index) => ({ name, dashboard: dashboards[index]!.key })) };
  }

  private compare({ before, after }: ComparedKeys): SaeComparison {
    if (this.comparisonError !== undefined) throw new Error(this.comparisonError);
    this.log.push('compareSaes');
    const side = (exportDashboard: string) => ({ trainTransformer: hashOf('transformer'), trainSae: hashOf(exportDashboard), exportDashboard });
    const change = { before: 2, after: 1.5 };
    return {
      format: 1,
      key: hashOf([before, after]),
      before: side(before),
      after: side(after),
      metrics: { valLoss: change, l0: change, lossRecovered: change, fvu: change, alive: { before: 40, after: 41 } },
      features: { threshold: 0.7, kept: 38, lost: 2, new: 3, meanCosine: 0.9 },
      reason: '',
    };
  }

  private commit(input: CommitInput): ArtifactRef {
    const { stage, key } = input.artifact;
    this.commits.push(input);
    const artifact: ArtifactRef = { stage, key, uri: `memory/${stage}/${key}`, contentSha256: hashOf(key), bytes: 1, files: 1, seconds: 1, gpuSeconds: 0, device: 'cpu', metrics: { made: 1 } };
    this.store.set(key, artifact);
    return artifact;
  }
}
