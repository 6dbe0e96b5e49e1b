// Which artifacts are being made, as the Temporal server knows it: what `saeflow gc` must not touch, whatever its age.
import type { Client, WorkflowExecutionInfo } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import { specKey } from '../data/artifact.ts';
import { UserError } from '../schemas/errors.ts';
import { stageInput } from '../schemas/progress.ts';
import { supplyInput } from '../schemas/supply.ts';
import { stageName, stageNames, type ArtifactId, type StageName } from '../schemas/stages.ts';
import { findRunningTemporal } from './connection.ts';

const supplyType = 'supplyActivations';

export interface OpenStages {
  /** False when no server could be asked. */
  known: boolean;
  /** How many stage workflows are open. */
  count: number;
  inUse(id: ArtifactId): boolean;
}

/** Asks the server that commands talk to; one that does not answer is as good as none. */
export async function findOpenStages(): Promise<OpenStages> {
  const temporal = await findRunningTemporal().catch((error: unknown) => {
    if (error instanceof UserError) return undefined;
    throw error;
  });
  if (temporal === undefined) return { known: false, count: 0, inUse: () => false };
  try {
    return await openStagesOf(temporal.client);
  } finally {
    await temporal.close();
  }
}

/** The artifacts that open workflows of a server make. One whose input can't be read, or is a configuration, stands for all of its stage. */
export async function openStagesOf(client: Client): Promise<OpenStages> {
  const keys = new Set<string>();
  const whole = new Set<StageName>();
  let count = 0;
  const types = [...stageNames, supplyType].map((name) => `'${name}'`).join(', ');
  for await (const workflow of client.workflow.list({ query: `ExecutionStatus = 'Running' AND WorkflowType IN (${types})` })) {
    count++;
    // A supply makes and deletes shards of what sampling finishes later.
    const stage = workflow.type === supplyType ? 'sampleActivations' : stageName.parse(workflow.type);
    const key = await keyOf(client, workflow);
    if (key === undefined) whole.add(stage);
    else keys.add(`${stage}/${key}`);
  }
  return { known: true, count, inUse: ({ stage, key }) => whole.has(stage) || keys.has(`${stage}/${key}`) };
}

/** From the workflow's input, which its first event holds: its id is anything when a person started it. */
async function keyOf({ workflowService, options }: Client, { workflowId, runId, type }: WorkflowExecutionInfo): Promise<string | undefined> {
  const { history } = await workflowService.getWorkflowExecutionHistory({ namespace: options.namespace, execution: { workflowId, runId }, maximumPageSize: 1 });
  const [payload] = history?.events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads ?? [];
  if (payload === undefined) return undefined;
  try {
    const input = defaultPayloadConverter.fromPayload(payload);
    return specKey((type === supplyType ? supplyInput.parse(input).stage : stageInput.parse(input)).spec);
  } catch {
    return undefined; // Encrypted, or not of this version.
  }
}
