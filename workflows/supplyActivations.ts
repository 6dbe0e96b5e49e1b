// Activation shards for SAEs that read them while they are made: sampled a window ahead of the slowest training, deleted
// when every training that asked has a checkpoint beyond them (activations.retention consume), and made again when a
// training went back or another one comes. A workflow of its own beside the trainings, started by the first of them, ended
// when the last has left: so trainings of one run, and of several, share one window, and no training holds a GPU while it
// waits for shards that the same GPU has to make.
import { ApplicationFailure, CancellationScope, condition, ContinueAsNew, continueAsNew, isCancellation, setHandler, type ActivityOptions } from '@temporalio/workflow';
import type { FailedShard } from '../schemas/progress.ts';
import type { ArtifactId } from '../schemas/stages.ts';
import { supplyInput, type ShardsThere, type SupplyInput } from '../schemas/supply.ts';
import { gpuShards, shardFiles, short } from './activityProxies.ts';
import { describeFailure, parseMessage, shortened } from './failures.ts';
import { isLong } from './longHistory.ts';
import { descriptions, supplyAnswerSignal, supplyLeaveSignal, supplyRequestSignal } from './messages.ts';
import { Outbox } from './outbox.ts';
import { ParkedShards } from './parkedShards.ts';
import { policies } from './policies.ts';
import { formatShards, rangesOf } from './shardRanges.ts';
import { ShardWindow } from './shardWindow.ts';
import { StageControl } from './stageControl.ts';

/** How long it waits for the first training, and after the last. */
const lonelyWait = '30 seconds';
/** A training that was terminated says nothing: when others have waited for so long, all are called. */
const missingWait = '1 minute';
const errorChars = 800;

/** Workflow `supplyActivations`. */
export async function supplyActivations(input: SupplyInput): Promise<void> {
  const { stage, requests, paused } = parseMessage(supplyInput, input, 'the input');
  const control = new StageControl(stage, 'shards', requests.flatMap(({ watchers }) => watchers), { tellsParent: false });
  control.paused = paused;
  // Made at once: what the run before this one was asked must not come after what this one is asked.
  await new Supply(control, requests).run();
}

class Supply {
  /** Requests from before the window was known. */
  private readonly requested: SupplyInput['requests'];
  private window: ShardWindow | undefined;
  private readonly outbox = new Outbox();
  private readonly parked = new ParkedShards();
  private made = 0;
  private total = 0;
  private inFlight = 0;
  private looking = false;
  /** Before the first request nobody can say what is of no use. */
  private asked = false;
  private error: unknown;
  private readonly control: StageControl;
  private artifact!: ArtifactId;

  constructor(control: StageControl, requests: SupplyInput['requests']) {
    this.control = control;
    this.requested = [...requests];
    setHandler(supplyRequestSignal, (request) => this.hear(request), descriptions.supplyRequest);
    setHandler(
      supplyLeaveSignal,
      (consumer) => {
        this.window?.leave(consumer);
        this.requested.splice(0, this.requested.length, ...this.requested.filter((request) => request.consumer !== consumer));
        this.pump();
      },
      descriptions.supplyLeave,
    );
  }

  async run(): Promise<void> {
    try {
      const { key } = await short.planStage.executeWithOptions(this.control.options(policies.short), [this.control.input.spec]);
      this.artifact = { stage: 'sampleActivations', key };
      const there = await this.look();
      const window = new ShardWindow(there);
      this.window = window;
      this.made = there.made;
      this.total = there.total;
      this.control.report({ key: this.artifact.key, state: 'running', done: this.made, total: this.total });
      for (const request of this.requested) window.ask(request);
      await this.serve(window);
      await this.control.finish('waiting');
    } catch (error) {
      if (!(error instanceof ContinueAsNew)) await this.giveUp(error);
      throw error;
    }
  }

  private async serve(window: ShardWindow): Promise<void> {
    for (;;) {
      this.pump();
      const lonely = () => window.requests.length === 0 && !window.busy;
      const stuck = () => this.error !== undefined || (this.parked.size > 0 && !window.busy) || lonely() || (isLong() && !window.busy && !this.looking);
      const woken = await this.control.forwarding({ pause: () => undefined, resume: () => this.pump() }, condition(stuck, missingWait));
      if (this.error !== undefined) throw this.error;
      if (!woken && window.blocked) await this.callTrainings(window);
      if (!woken) continue;
      if (lonely()) {
        if (!(await condition(() => !lonely(), lonelyWait))) return;
      } else if (this.parked.size > 0) await this.decide(window);
      else if (isLong()) await continueAsNew<typeof supplyActivations>({ stage: this.control.input, requests: window.requests, paused: this.control.paused });
    }
  }

  /** Trainings are told why, so that they end too. */
  private async giveUp(error: unknown): Promise<void> {
    const cancelled = isCancellation(error);
    const why = cancelled ? 'the sampling of its activations was cancelled' : describeFailure(error);
    for (const { consumer, token } of this.window?.requests ?? this.requested) await this.outbox.send(consumer, supplyAnswerSignal, { token, error: shortened(why, errorChars) });
    await this.control.finish(cancelled ? 'aborted' : 'failed');
  }

  private hear(request: SupplyInput['requests'][number]): void {
    for (const watcher of request.watchers) this.control.watchers.add(watcher);
    if (this.window === undefined) return void this.requested.push(request);
    this.window.ask(request);
    if (request.absent) void this.lookAgain(this.window);
    this.pump();
  }

  /** Answers, deletes and makes what the window says, as far as lanes go. */
  private pump(): void {
    const { window } = this;
    if (window === undefined || this.looking) return;
    for (const { consumer, token } of window.answer()) void this.tell(window, consumer, token);
    if (isLong()) return;
    this.asked ||= window.requests.length > 0;
    const drop = this.asked ? window.drop() : [];
    if (drop.length > 0) void this.drop(window, drop);
    while (!this.control.paused && this.inFlight < this.control.input.execution.concurrency) {
      const shard = window.make();
      if (shard === undefined) return;
      void this.make(window, shard);
    }
  }

  private async make(window: ShardWindow, shard: number): Promise<void> {
    this.inFlight++;
    try {
      const options: ActivityOptions = { ...policies.gpuShard, retry: { ...policies.gpuShard.retry, maximumAttempts: this.control.input.execution.shardAttempts } };
      const { found } = await gpuShards.supplyShard.executeWithOptions(this.control.options(options, `shard ${shard} of ${this.total}`), [{ artifact: this.artifact, shard }]);
      window.made(shard);
      if (!found) this.control.report({ done: ++this.made });
    } catch (error) {
      window.fail(shard);
      if (isCancellation(error)) this.error ??= error;
      else this.parked.add({ shards: formatShards(rangesOf([shard])), errors: [{ shard, error: shortened(describeFailure(error), errorChars) } satisfies FailedShard] });
    } finally {
      this.inFlight--;
      this.pump();
    }
  }

  private async drop(window: ShardWindow, shards: number[]): Promise<void> {
    try {
      const summary = `delete shards ${shortened(formatShards(rangesOf(shards)), 60)}: read`;
      await shardFiles.dropShards.executeWithOptions(this.control.options(policies.scan, summary), [{ artifact: this.artifact, shards }]);
      window.dropped(shards);
      this.pump();
    } catch (error) {
      this.error ??= error;
    }
  }

  private look(): Promise<ShardsThere> {
    return shardFiles.lookAtShards.executeWithOptions(this.control.options(policies.scan, 'see which shards are there'), [this.artifact]);
  }

  private async lookAgain(window: ShardWindow): Promise<void> {
    if (this.looking) return;
    this.looking = true;
    try {
      window.found((await this.look()).present);
    } catch (error) {
      this.error ??= error;
    } finally {
      this.looking = false;
      this.pump();
    }
  }

  private async tell(window: ShardWindow, consumer: string, token: string): Promise<void> {
    const heard = await this.outbox.send(consumer, supplyAnswerSignal, { token });
    if (heard) return;
    window.leave(consumer);
    this.pump();
  }

  /** Whoever is gone without a word is found out here. An answer that nobody waits for is harmless. */
  private async callTrainings(window: ShardWindow): Promise<void> {
    await Promise.all(window.requests.map(({ consumer }) => this.tell(window, consumer, '')));
  }

  private async decide(window: ShardWindow): Promise<void> {
    const { execution } = this.control.input;
    const { parked, total } = this;
    if (execution.onShardFailure === 'fail') {
      const [first] = parked.explained();
      throw ApplicationFailure.nonRetryable(`${parked.size} of ${total} shards failed; the first, ${first?.shard}: ${first?.error}`, 'ShardsFailed');
    }
    const counts = { total, completed: this.made, failed: parked.size, skipped: 0, policy: execution.onShardFailure, minShardFraction: execution.minShardFraction, skippable: false };
    const asking = new CancellationScope();
    const forsaken = condition(() => window.requests.length === 0).then(() => asking.cancel());
    forsaken.catch(() => undefined);
    const answer = await asking.run(() => parked.askPerson(this.control, counts)).catch((error: unknown) => {
      if (window.requests.length > 0 || !isCancellation(error)) throw error;
    });
    if (answer === undefined) return void parked.take();
    if (answer.action === 'abort') throw ApplicationFailure.nonRetryable(`aborted with ${parked.size} of ${total} shards parked: ${answer.reason}`, 'Aborted');
    window.retry(parked.take(answer.action === 'retry' ? answer.shards : []));
    this.control.report({ state: 'running', failedShards: parked.size });
  }
}
