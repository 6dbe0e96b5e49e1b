// What every stage's workflow has in common while it runs: pause and resume, how far it is, who wants to know, and what
// the UI shows of it.
import { CancellationScope, condition, setCurrentDetails, setHandler, upsertSearchAttributes, workflowInfo, type ActivityOptions } from '@temporalio/workflow';
import type { ArtifactRef } from '../schemas/artifact.ts';
import { runPriority } from '../schemas/config.ts';
import type { StageInput, StagePlan, StageProgress } from '../schemas/progress.ts';
import { attributes } from './attributes.ts';
import { describeStage } from './details.ts';
import { parseMessage, wasCancelled } from './failures.ts';
import { artifactsQuery, descriptions, pauseSignal, priorityChangedSignal, resumeSignal, setPriorityUpdate, stagePlanQuery, stageProgressQuery, stageProgressSignal, watchSignal } from './messages.ts';
import { Outbox } from './outbox.ts';
import { atPriority } from './policies.ts';

/** Someone whom a pause or a new priority concerns: partitions are told, scopes are cancelled. */
export interface Follower {
  pause(): void;
  resume(): void;
  prioritize?(priority: number): void;
}

export class StageControl {
  paused = false;
  plan: StagePlan | undefined;
  /** Markdown below the progress line, such as what a person should do. */
  note = '';
  progress: StageProgress;
  readonly watchers = new Set<string>();
  private readonly followers = new Set<Follower>();
  private artifact: ArtifactRef | undefined;
  private readonly outbox = new Outbox();
  private signalled: Pick<StageProgress, 'done' | 'failedShards'> & { state: string } = { state: '', done: 0, failedShards: 0 };
  /** The round of reports that is under way, and whether it is out of date already. */
  private telling: Promise<void> | undefined;
  private stale = false;

  constructor(
    readonly input: StageInput,
    unit: string,
    watchers: readonly string[] = [],
    /** The one that started it is told how far it is. */
    { tellsParent = true } = {},
  ) {
    const { run, label, spec } = input;
    const { workflowId, parent } = workflowInfo();
    this.progress = { stage: spec.stage, label, state: 'waiting', workflowId, done: 0, total: 0, unit, metrics: {}, failedShards: 0 };
    for (const watcher of watchers) this.watchers.add(watcher);
    if (parent !== undefined && tellsParent) this.watchers.add(parent.workflowId);
    setHandler(stageProgressQuery, () => this.progress);
    setHandler(stagePlanQuery, () => this.plan ?? null);
    setHandler(artifactsQuery, () => (this.artifact === undefined ? [] : [this.artifact]));
    setHandler(pauseSignal, () => this.setPaused(true), descriptions.pause);
    setHandler(resumeSignal, () => this.setPaused(false), descriptions.resume);
    setHandler(setPriorityUpdate, (priority) => this.prioritize(priority), { ...descriptions.setPriority, validator: (priority) => void parseMessage(runPriority, priority, 'the priority') });
    setHandler(priorityChangedSignal, (priority) => void this.prioritize(priority), descriptions.priorityChanged);
    setHandler(
      watchSignal,
      (watcher) => {
        this.watchers.add(watcher);
        void this.tellAll();
      },
      descriptions.watch,
    );
    upsertSearchAttributes([
      { key: attributes.stage, value: spec.stage },
      { key: attributes.run, value: run },
      { key: attributes.failedShards, value: 0 },
    ]);
    this.refreshDetails();
  }

  /** Notes a change, and tells the pipelines when it is worth a signal: a new state, some percent more, or parked shards. */
  report(change: Partial<StageProgress>): void {
    if (change.state === 'blocked' || this.progress.state === 'blocked') {
      upsertSearchAttributes([{ key: attributes.failedShards, value: change.state === 'blocked' ? (change.failedShards ?? this.progress.failedShards) : 0 }]);
    }
    this.progress = { ...this.progress, ...change };
    this.refreshDetails();
    const { state, done, total, failedShards } = this.progress;
    const worthIt = state !== this.signalled.state || failedShards !== this.signalled.failedShards || done - this.signalled.done >= total / this.input.progressSignals;
    if (worthIt) void this.tellAll();
  }

  /** The last report: returns when the signals are on their way, for a closed workflow sends none. */
  async finish(state: StageProgress['state'], artifact?: ArtifactRef): Promise<void> {
    this.artifact = artifact;
    this.note = '';
    this.progress = { ...this.progress, state, ...(artifact === undefined ? {} : { key: artifact.key, metrics: artifact.metrics }) };
    this.refreshDetails();
    await this.tellAll();
  }

  /** Place in the queues of the activities that are scheduled from now on. */
  get priority(): number {
    return this.input.execution.priority;
  }

  /** Options of an activity at the run's present priority. */
  options(policy: ActivityOptions, summary?: string): ActivityOptions {
    return atPriority(policy, this.priority, summary);
  }

  /** Returns once the stage is not paused. */
  async untilResumed(): Promise<void> {
    if (!this.paused) return;
    const { state } = this.progress;
    this.report({ state: 'paused' });
    await condition(() => !this.paused);
    this.report({ state });
  }

  /**
   * Runs `work`; a pause cancels what it waits for (activities save a checkpoint), then comes `atRest`, and after the
   * resume it runs again.
   */
  async pausable<T>(work: () => Promise<T>, atRest: () => Promise<void> = async () => undefined): Promise<T> {
    for (let paused = false; ; paused = true) {
      if (paused) await atRest();
      await this.untilResumed();
      const scope = new CancellationScope();
      const follower: Follower = { pause: () => scope.cancel(), resume: () => undefined };
      this.followers.add(follower);
      try {
        return await scope.run(work);
      } catch (error) {
        const cancelledFromOutside = CancellationScope.current().consideredCancelled;
        if (cancelledFromOutside || !scope.consideredCancelled || !wasCancelled(error)) throw error;
      } finally {
        this.followers.delete(follower);
      }
    }
  }

  /** Lets `follower` know of pauses and priorities while `work` runs. */
  async forwarding<T>(follower: Follower, work: Promise<T>): Promise<T> {
    this.followers.add(follower);
    try {
      return await work;
    } finally {
      this.followers.delete(follower);
    }
  }

  private setPaused(paused: boolean): void {
    if (this.paused === paused) return;
    this.paused = paused;
    for (const follower of this.followers) {
      if (paused) follower.pause();
      else follower.resume();
    }
    this.refreshDetails();
  }

  /** Kept in the input, and so handed on when the stage continues as new. */
  private prioritize(priority: number): number {
    this.input.execution.priority = priority;
    for (const follower of this.followers) follower.prioritize?.(priority);
    return priority;
  }

  private refreshDetails(): void {
    setCurrentDetails(describeStage(this.progress, this.note));
  }

  /** Tells all watchers the newest, one report at a time: what changes meanwhile is in the next one. */
  private tellAll(): Promise<void> {
    this.stale = true;
    this.telling ??= this.tellUntilCurrent().finally(() => (this.telling = undefined));
    return this.telling;
  }

  private async tellUntilCurrent(): Promise<void> {
    while (this.stale) {
      this.stale = false;
      const { progress } = this;
      this.signalled = progress;
      await Promise.all(
        [...this.watchers].map(async (watcher) => {
          const heard = await this.outbox.send(watcher, stageProgressSignal, progress);
          if (!heard) this.watchers.delete(watcher);
        }),
      );
    }
  }
}
