// Which artifacts are being made, as the Temporal server knows it: what collecting garbage must not touch, whatever its age.
import type { Client, WorkflowExecutionInfo } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import { specKey } from '../data/artifact.ts';
import { stageInput } from '../schemas/progress.ts';
import { supplyInput } from '../schemas/supply.ts';
import { stageName, stageNames, type ArtifactId, type StageName } from '../schemas/stages.ts';

const supplyType = 'supplyActivations';

export interface OpenStages {
  /** How many stage workflows are open. */
  count: number;
  inUse(id: ArtifactId): boolean;
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
  return { count, inUse: ({ stage, key }) => whole.has(stage) || keys.has(`${stage}/${key}`) };
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
