// A training's side of the supply of its activations (supplyActivations.ts): asks for the shards of its next job, starts
// the supply where there is none, and gives shards back.
import { ApplicationFailure, ChildWorkflowCancellationType, CancellationScope, condition, ParentClosePolicy, setHandler, startChild, workflowInfo } from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import type { StageInput, StagePlan } from '../schemas/progress.ts';
import type { Reading, SupplyAnswer, SupplyRequest } from '../schemas/supply.ts';
import { descriptions, supplyAnswerSignal, supplyLeaveSignal, supplyRequestSignal } from './messages.ts';
import { Outbox } from './outbox.ts';
import type { StageControl } from './stageControl.ts';
import type { supplyActivations } from './supplyActivations.ts';

/** A request is repeated after this long: the supply may have been ended by somebody. */
const repeatAfter = '10 minutes';

/** The id of the workflow that makes the shards of an artifact while they are read. */
function supplyWorkflowId(key: string): string {
  return `saeflow/supplyActivations/${key.slice(0, 12)}`;
}

export class ShardSupply {
  private readonly control: StageControl;
  private readonly supply: NonNullable<StagePlan['supply']>;
  private readonly workflowId: string;
  private readonly outbox = new Outbox();
  private answer: SupplyAnswer | undefined;
  /** Why the supply ended, also while nobody waited for it. */
  private failure: string | undefined;
  private last: SupplyRequest | undefined;
  private requests = 0;

  /** `key`: of the activations. */
  constructor(control: StageControl, supply: NonNullable<StagePlan['supply']>, key: string) {
    this.control = control;
    this.supply = supply;
    this.workflowId = supplyWorkflowId(key);
    setHandler(supplyAnswerSignal, (answer) => {
      if (answer.error !== undefined) this.failure = answer.error;
      if (answer.token === this.last?.token) this.answer = answer;
    }, descriptions.supplyAnswer);
  }

  /** Returns when the shards of a reading are there; they stay until the next call. A pause lets others have them meanwhile. */
  async obtain({ position, need, next }: Reading, absent: boolean): Promise<void> {
    if (need.length === 0) return;
    for (;;) {
      await this.control.untilResumed();
      this.refuseFailure();
      await this.ask({ position, need, next, absent });
      const answered = await condition(() => this.answer !== undefined || this.control.paused, repeatAfter);
      this.refuseFailure();
      if (this.answer !== undefined) return;
      if (answered) await this.rest();
    }
  }

  /** Keeps its place, but holds nothing. */
  async rest(): Promise<void> {
    if (this.last === undefined) return;
    const { position, need, next } = this.last;
    await this.ask({ position, need: [], next: [...need, ...next], absent: false });
  }

  /** Reads no more, whatever comes. */
  async leave(): Promise<void> {
    await this.outbox.send(this.workflowId, supplyLeaveSignal, workflowInfo().workflowId);
  }

  private refuseFailure(): void {
    if (this.failure !== undefined) throw ApplicationFailure.nonRetryable(`its activations can't be had: ${this.failure}`, 'SupplyFailed');
  }

  private async ask(wanted: Pick<SupplyRequest, 'position' | 'need' | 'next' | 'absent'>): Promise<void> {
    const { workflowId, runId } = workflowInfo();
    const request: SupplyRequest = { ...wanted, consumer: workflowId, token: `${runId}/${this.requests++}`, windowShards: this.supply.windowShards, watchers: [...this.control.watchers] };
    this.last = request;
    this.answer = undefined;
    while (!(await this.outbox.send(this.workflowId, supplyRequestSignal, request))) await this.start();
  }

  /** Outlives this training: others may have joined by the time it ends. */
  private async start(): Promise<void> {
    const { run, execution, progressSignals } = this.control.input;
    const stage: StageInput = { run, label: '', spec: this.supply.spec, execution: { ...execution, priority: this.control.priority }, progressSignals };
    try {
      await CancellationScope.nonCancellable(() =>
        startChild<typeof supplyActivations>('supplyActivations', {
          workflowId: this.workflowId,
          args: [{ stage, requests: [], paused: false }],
          parentClosePolicy: ParentClosePolicy.ABANDON,
          cancellationType: ChildWorkflowCancellationType.ABANDON,
          priority: { priorityKey: this.control.priority },
          staticSummary: `${run}: activation shards while SAEs read them`,
        }),
      );
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    }
  }
}
