// Signals to other workflows, in order. Two signals sent at once can arrive in either order, and a resume that overtakes
// its pause would leave a stage paused for ever; so each waits until the one before it is delivered.
import { CancellationScope, getExternalWorkflowHandle, type SignalDefinition } from '@temporalio/workflow';

export class Outbox {
  private readonly last = new Map<string, Promise<boolean>>();

  /**
   * Sends after all that was sent to `workflowId` before, also while this workflow is being cancelled. False when that
   * workflow is gone: whoever signals here does so as a courtesy and must not fail by it.
   */
  send<Args extends unknown[]>(workflowId: string, signal: SignalDefinition<Args>, ...args: Args): Promise<boolean> {
    const before = this.last.get(workflowId) ?? Promise.resolve(true);
    const sent = before.then(() =>
      CancellationScope.nonCancellable(() => getExternalWorkflowHandle(workflowId).signal<Args>(signal, ...args)).then(
        () => true,
        () => false,
      ),
    );
    this.last.set(workflowId, sent);
    return sent;
  }
}
