// `saeflow pause | resume | cancel | retry | skip | abort`: what a person says to a run. Pausing and cancelling go to the
// run, decisions about failed shards to the stage that waits for them.
import { WorkflowUpdateFailedError } from '@temporalio/client';
import { Command } from 'commander';
import { UserError } from '../../schemas/errors.ts';
import { runProgress, type StageProgress } from '../../schemas/progress.ts';
import { requireTemporal, type Temporal } from '../connection.ts';
import { explain } from '../errors.ts';
import { stageTitle } from '../progressLines.ts';
import { findRun, isAboutConnection } from '../runs.ts';
import { addExamples, toShards } from './options.ts';

interface DecisionOptions {
  shards?: number[];
  stage?: string;
  reason?: string;
}

const answerMs = 20_000;

/** The six commands. */
export function controlCommands(): Command[] {
  return [
    signalCommand('pause', 'finish the step, save a checkpoint, and release the GPU until resume'),
    signalCommand('resume', 'go on after pause'),
    cancelCommand(),
    decisionCommand('retry', 'retryFailedShards', 'try shards again that used up their attempts').option('--shards <list>', 'only these, such as 1,2 (default: all failed ones)', toShards),
    decisionCommand('skip', 'skipFailedShards', 'go on without shards that used up their attempts').option('--shards <list>', 'only these, such as 1,2 (default: all failed ones)', toShards),
    decisionCommand('abort', 'abort', 'give a stage up that waits for a decision about failed shards; what is finished stays').option('--reason <text>', 'why, for the history'),
  ];
}

function signalCommand(name: 'pause' | 'resume', description: string): Command {
  const command = new Command(name).description(description).argument('<run>', 'a name, name/hash or workflow id');
  addExamples(command, `${name} demo`);
  return command.action(async (run: string) => {
    await withRun(run, async ({ client }, workflowId) => {
      await client.workflow.getHandle(workflowId).signal(name);
      console.log(`${name === 'pause' ? 'pausing' : 'resuming'} ${workflowId}`);
    });
  });
}

function cancelCommand(): Command {
  const command = new Command('cancel').description('end a run after its checkpoints are saved; started again it goes on from there').argument('<run>', 'a name, name/hash or workflow id');
  addExamples(command, 'cancel demo');
  return command.action(async (run: string) => {
    await withRun(run, async ({ client }, workflowId) => {
      await client.workflow.getHandle(workflowId).cancel();
      console.log(`cancelling ${workflowId}: it ends when checkpoints are saved (saeflow status tells)`);
    });
  });
}

function decisionCommand(name: string, update: string, description: string): Command {
  const command = new Command(name)
    .description(description)
    .argument('<run>', 'a name, name/hash or workflow id')
    .option('--stage <stage>', 'which stage, where several wait for a decision');
  addExamples(command, `${name} demo${name === 'abort' ? ' --reason "bad disk"' : ''}`, ...(name === 'abort' ? [] : [`${name} demo --shards 3,17`]));
  return command.action(async (run: string, { shards, stage, reason }: DecisionOptions) => {
    await withRun(run, async (temporal, workflowId) => {
      const argument = name === 'abort' ? (reason ?? 'no reason given') : shards === undefined ? {} : { shards };
      for (const blocked of await blockedStages(temporal, workflowId, stage, shards !== undefined)) {
        const answer = await answered(temporal, () => temporal.client.workflow.getHandle(blocked.workflowId!).executeUpdate<unknown, [unknown]>(update, { args: [argument] }));
        console.log(`${stageTitle(blocked)}: ${name} ${Array.isArray(answer) ? `${answer.length} shards (${answer.slice(0, 20).join(', ')}${answer.length > 20 ? ', …' : ''})` : 'accepted'}`);
      }
    });
  });
}

/** Finds a run on the server that commands talk to. */
export async function withRun(run: string, work: (temporal: Temporal, workflowId: string) => Promise<void>): Promise<void> {
  const temporal = await requireTemporal();
  try {
    await work(temporal, await findRun(temporal.client, run));
  } finally {
    await temporal.close();
  }
}

async function blockedStages(temporal: Temporal, workflowId: string, stage: string | undefined, single: boolean): Promise<StageProgress[]> {
  const { stages } = runProgress.parse(await answered(temporal, () => temporal.client.workflow.getHandle(workflowId).query('progress')));
  const blocked = stages.filter((candidate) => candidate.state === 'blocked' && candidate.workflowId !== undefined && (stage === undefined || stage === candidate.stage || stage === stageTitle(candidate)));
  if (blocked.length === 0) throw new UserError(`no stage of ${workflowId}${stage === undefined ? '' : ` called "${stage}"`} waits for a decision`, 'A stage waits when only failed shards are left in it: see saeflow status.');
  if (single && blocked.length > 1) throw new UserError(`several stages wait for a decision: ${blocked.map(stageTitle).join(', ')}`, 'Say which with --stage.');
  return blocked;
}

/** Queries and updates are answered by workers: without one they would wait forever. */
export async function answered<T>({ client }: Temporal, ask: () => Promise<T>): Promise<T> {
  try {
    return await client.withDeadline(Date.now() + answerMs, ask);
  } catch (error) {
    if (error instanceof WorkflowUpdateFailedError) throw new UserError(explain(error.cause ?? error).message, 'See saeflow status for what the stage waits for.', { cause: error });
    if (!isAboutConnection(error)) throw error;
    throw new UserError('no worker answers for this run', 'Start one with saeflow worker, or run the same saeflow run again.', { cause: error });
  }
}
