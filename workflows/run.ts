// A pipeline's view of its stages: finds an artifact, attaches to the run that is making it, or starts a child workflow
// that does; pauses them together; and shows where each stands.
import { CancellationScope, condition, setCurrentDetails, setHandler, startChild, upsertSearchAttributes, workflowInfo, type ActivityOptions } from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import type { ArtifactRef } from '../schemas/artifact.ts';
import type { Changes } from '../schemas/comparison.ts';
import { runPriority, type PipelineConfig } from '../schemas/config.ts';
import type { StageInput, StagePlan, StageProgress, StageResult } from '../schemas/progress.ts';
import { stageNames, stageWorkflowId, type StageName, type StageSpec } from '../schemas/stages.ts';
import { short } from './activityProxies.ts';
import { attributes } from './attributes.ts';
import { describeChanges } from './describeChanges.ts';
import { describeRun, type Pace } from './details.ts';
import { parseMessage } from './failures.ts';
import { artifactsQuery, descriptions, pauseSignal, priorityChangedSignal, resumeSignal, runPlanQuery, runProgressQuery, setPriorityUpdate, stageProgressSignal, watchSignal } from './messages.ts';
import { Outbox } from './outbox.ts';
import { atPriority, policies, progressSignalsOf } from './policies.ts';

const firstLookMs = 2_000;
const longestLookMs = 300_000;

export class Run {
  private readonly rows: StageProgress[];
  private readonly plans: StagePlan[] = [];
  private readonly artifacts: ArtifactRef[] = [];
  private readonly paces = new Map<StageProgress, Pace>();
  private readonly outbox = new Outbox();
  private readonly children = new Set<string>();
  /** Rows with an artifact: word of them that comes late is old. */
  private readonly settled = new Set<StageProgress>();
  private configHash: string | undefined;
  private paused = false;
  /** Markdown above the table, once all stages are done. */
  private conclusion = '';
  /** Shards that wait for a person, in all stages. */
  private parked = 0;
  private priority: number;

  /** @param last the stage after which the run ends. */
  constructor(
    private readonly config: PipelineConfig,
    last: StageName,
  ) {
    this.rows = stageRows(config).filter(({ stage }) => stageNames.indexOf(stage) <= stageNames.indexOf(last));
    this.priority = config.execution.priority;
    setHandler(runProgressQuery, () => ({ run: config.name, ...(this.configHash === undefined ? {} : { configHash: this.configHash }), stages: this.rows }));
    setHandler(runPlanQuery, () => this.plans);
    setHandler(artifactsQuery, () => this.artifacts);
    setHandler(stageProgressSignal, (progress) => this.hear(progress), descriptions.stageProgress);
    setHandler(pauseSignal, () => this.setPaused(true), descriptions.pause);
    setHandler(resumeSignal, () => this.setPaused(false), descriptions.resume);
    setHandler(setPriorityUpdate, (priority) => this.prioritize(priority), { ...descriptions.setPriority, validator: (priority) => void parseMessage(runPriority, priority, 'the priority') });
    upsertSearchAttributes([{ key: attributes.run, value: config.name }]);
    this.refreshDetails();
  }

  /** Makes the hash known that says which configuration this is. */
  identify(configHash: string): void {
    this.configHash = configHash;
    upsertSearchAttributes([{ key: attributes.configHash, value: configHash }]);
  }

  /** Shows what this run changed against the one before. */
  conclude(changes: Changes): void {
    this.conclusion = describeChanges(changes);
    this.refreshDetails();
  }

  /** Options of an activity at the run's present priority. */
  options(policy: ActivityOptions, summary?: string): ActivityOptions {
    return atPriority(policy, this.priority, summary);
  }

  /** The artifact of `spec`: found in the store, or made by a child workflow, this run's or another's. */
  async stage(spec: StageSpec, label = ''): Promise<StageResult> {
    const row = this.rowOf(spec, label);
    try {
      return this.settle(row, await this.findOrMake(row, spec));
    } catch (error) {
      this.update(row, { state: CancellationScope.current().consideredCancelled ? 'aborted' : 'failed' });
      throw error;
    }
  }

  /** The key of what `spec` makes, without having it made. */
  async keyOf(spec: StageSpec, label = ''): Promise<string> {
    const row = this.rowOf(spec, label);
    const plan = await short.planStage.executeWithOptions(this.options(policies.short, `look ${spec.stage}${label && ` ${label}`} up`), [spec]);
    this.notePlan(row, plan);
    return plan.key;
  }

  private rowOf(spec: StageSpec, label: string): StageProgress {
    return this.rows.find((candidate) => candidate.stage === spec.stage && candidate.label === label)!;
  }

  private async findOrMake(row: StageProgress, spec: StageSpec): Promise<StageResult> {
    for (let lookMs = firstLookMs; ; lookMs = Math.min(2 * lookMs, longestLookMs)) {
      await condition(() => !this.paused);
      const plan = await short.planStage.executeWithOptions(this.options(policies.short, `look ${spec.stage}${row.label && ` ${row.label}`} up`), [spec]);
      this.notePlan(row, plan);
      if (plan.found !== null) return { artifact: plan.found, cached: true };
      try {
        return await this.runChild(row, spec, plan.key);
      } catch (error) {
        if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
        await this.watch(row, lookMs);
      }
    }
  }

  private async runChild(row: StageProgress, spec: StageSpec, key: string): Promise<StageResult> {
    const { name: run, execution } = this.config;
    const { priority } = this;
    const input: StageInput = { run, label: row.label, spec, execution: { ...execution, priority }, progressSignals: progressSignalsOf(this.rows.length) };
    const workflowId = stageWorkflowId(spec.stage, key);
    upsertSearchAttributes([{ key: attributes.stage, value: spec.stage }]);
    const child = await startChild<(input: StageInput) => Promise<StageResult>>(spec.stage, {
      workflowId,
      args: [input],
      parentClosePolicy: 'REQUEST_CANCEL',
      priority: { priorityKey: priority },
      staticSummary: `${run}: ${spec.stage}${row.label && ` ${row.label}`}`,
      typedSearchAttributes: this.configHash === undefined ? [] : [{ key: attributes.configHash, value: this.configHash }],
    });
    this.update(row, { state: 'running', workflowId });
    this.children.add(workflowId);
    if (this.paused) void this.outbox.send(workflowId, pauseSignal);
    if (this.priority !== priority) void this.outbox.send(workflowId, priorityChangedSignal, this.priority);
    try {
      return await child.result();
    } finally {
      this.children.delete(workflowId);
    }
  }

  /** Waits for word of a stage that another run started, or for `lookMs`, when that run's end could have gone unheard. */
  private async watch(row: StageProgress, lookMs: number): Promise<void> {
    const workflowId = stageWorkflowId(row.stage, row.key!);
    this.update(row, { state: 'running', workflowId });
    await this.outbox.send(workflowId, watchSignal, workflowInfo().workflowId);
    await condition(() => ended.has(row.state), lookMs);
    this.update(row, { state: 'waiting' });
  }

  private hear(progress: StageProgress): void {
    for (const row of this.rows) {
      if (row.key === undefined || row.key !== progress.key || this.settled.has(row)) continue;
      this.update(row, { ...progress, label: row.label });
    }
  }

  private notePlan(row: StageProgress, plan: StagePlan): void {
    if (!this.plans.some(({ key }) => key === plan.key)) this.plans.push(plan);
    this.update(row, { key: plan.key });
  }

  private settle(row: StageProgress, result: StageResult): StageResult {
    this.artifacts.push(result.artifact);
    this.settled.add(row);
    this.update(row, { state: result.cached ? 'cached' : 'done', metrics: result.artifact.metrics, failedShards: 0 });
    return result;
  }

  private update(row: StageProgress, change: Partial<StageProgress>): void {
    Object.assign(row, change);
    if (row.state === 'running' && !this.paces.has(row)) this.paces.set(row, { sinceMs: Date.now(), doneThen: row.done });
    if (row.state !== 'running') this.paces.delete(row);
    const parked = this.rows.reduce((sum, { state, failedShards }) => sum + (state === 'blocked' ? failedShards : 0), 0);
    if (parked !== this.parked) upsertSearchAttributes([{ key: attributes.failedShards, value: parked }]);
    this.parked = parked;
    this.refreshDetails();
  }

  private setPaused(paused: boolean): void {
    if (this.paused === paused) return;
    this.paused = paused;
    for (const workflowId of this.children) void this.outbox.send(workflowId, paused ? pauseSignal : resumeSignal);
    this.refreshDetails();
  }

  /** Of this run's stages; one that another run started keeps that run's. */
  private prioritize(priority: number): number {
    this.priority = priority;
    for (const workflowId of this.children) void this.outbox.send(workflowId, priorityChangedSignal, priority);
    return priority;
  }

  private refreshDetails(): void {
    setCurrentDetails(describeRun(this.rows, this.paces, { paused: this.paused, namespace: workflowInfo().namespace, nowMs: Date.now(), conclusion: this.conclusion }));
  }
}

const ended: ReadonlySet<string> = new Set(['cached', 'done', 'failed', 'aborted']);

/** All stages of a run, before anything has happened. Labels tell several artifacts of one stage apart. */
function stageRows(config: PipelineConfig): StageProgress[] {
  const row = (stage: StageName, label = ''): StageProgress => ({ stage, label, state: 'waiting', done: 0, total: 0, unit: '', metrics: {}, failedShards: 0 });
  return [
    row('tokenize'),
    row('trainTransformer'),
    ...hooksOf(config).map((hook) => row('sampleActivations', hookLabel(config, hook))),
    ...config.saes.map((sae) => row('trainSae', saeLabel(config, sae.name))),
    ...config.saes.map((sae) => row('exportDashboard', saeLabel(config, sae.name))),
  ];
}

/** The hooks the SAEs read, each once. */
export function hooksOf({ saes }: PipelineConfig): string[] {
  return [...new Set(saes.map(({ hook }) => hook))];
}

export function hookLabel(config: PipelineConfig, hook: string): string {
  return hooksOf(config).length > 1 ? hook : '';
}

export function saeLabel({ saes }: PipelineConfig, name: string): string {
  return saes.length > 1 ? name : '';
}
