// The workflow behind `saeflow label`: one at a time for a dashboard, so that a second command attaches to the first.
import { setTimeout as sleep } from 'node:timers/promises';
import { WorkflowFailedError, type Client } from '@temporalio/client';
import { labelBatchResult, type LabelInput, type LabelResult } from '../schemas/labels.ts';
import { taskQueues } from '../schemas/progress.ts';
import { z } from 'zod';

const labelResult = labelBatchResult.extend({ labelsUri: z.string() });
const reconnectMs = 1_000;

/** Starts labelling, or attaches to the labelling of that dashboard that goes on; returns its workflow id. */
export async function startLabels(client: Client, input: LabelInput): Promise<string> {
  const workflowId = `saeflow/labels/${input.dashboard.slice(0, 12)}`;
  const staticSummary = `labels by ${input.config.model}`;
  await client.workflow.start('labelFeatures', { workflowId, taskQueue: taskQueues.workflows, args: [input], workflowIdConflictPolicy: 'USE_EXISTING', workflowIdReusePolicy: 'ALLOW_DUPLICATE', staticSummary });
  return workflowId;
}

/** Its result, waited for through restarts of the server; undefined once `signal` is aborted. Throws WorkflowFailedError. */
export async function labelsResult(client: Client, workflowId: string, signal: AbortSignal): Promise<LabelResult | undefined> {
  while (!signal.aborted) {
    try {
      return labelResult.parse(await client.withAbortSignal(signal, () => client.workflow.getHandle(workflowId).result()));
    } catch (error) {
      if (signal.aborted) return undefined;
      if (error instanceof WorkflowFailedError || error instanceof z.ZodError) throw error;
      await sleep(reconnectMs, undefined, { signal }).catch(() => undefined);
    }
  }
  return undefined;
}
