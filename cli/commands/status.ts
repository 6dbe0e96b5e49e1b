// `saeflow status`: how far a run is, once or as a live view.
import { WorkflowFailedError, type Client } from '@temporalio/client';
import { Command } from 'commander';
import { pipelineResult } from '../../schemas/progress.ts';
import { requireTemporal, workflowUrl } from '../connection.ts';
import { explain, Stopped } from '../errors.ts';
import { alignTable, formatBytes, formatDuration } from '../../schemas/format.ts';
import { Interrupt } from '../interrupt.ts';
import { showRun } from '../liveView.ts';
import { blockLines } from '../progressLines.ts';
import { readRun } from '../progressSource.ts';
import { findRun, resultOf } from '../runs.ts';
import { Screen } from '../screen.ts';
import { summarizeChanges } from '../summary.ts';
import { addExamples } from './options.ts';

export function statusCommand(): Command {
  const command = new Command('status')
    .description('how far a run is')
    .argument('[run]', 'a name, name/hash or workflow id (default: the newest)')
    .option('--watch', 'follow it to its end; Ctrl-C leaves the run alone');
  addExamples(command, 'status', 'status demo --watch');
  return command.action(async (run: string | undefined, { watch }: { watch?: boolean }) => {
    const temporal = await requireTemporal();
    try {
      const workflowId = await findRun(temporal.client, run);
      const { status } = await temporal.client.workflow.getHandle(workflowId).describe();
      const url = workflowUrl(temporal, workflowId);
      console.log(`${workflowId}: ${status.name.toLowerCase()}${url === undefined ? '' : `  ${url}`}`);
      if (status.name === 'RUNNING' && watch) await watchRun(temporal.client, workflowId);
      else if (status.name === 'RUNNING') await printProgress(temporal.client, workflowId);
      else await printEnd(temporal.client, workflowId);
    } finally {
      await temporal.close();
    }
  });
}

async function watchRun(client: Client, workflowId: string): Promise<void> {
  const interrupt = new Interrupt();
  const watching = new AbortController();
  const shown = showRun(client, workflowId, new Screen(process.stdout), watching.signal);
  const ended = resultOf(client, { workflowId }, pipelineResult, watching.signal).catch(() => undefined);
  await Promise.race([ended, interrupt.raised]);
  watching.abort();
  await Promise.allSettled([shown, ended]);
  interrupt.release();
  if (interrupt.signal.aborted) throw new Stopped();
  await printEnd(client, workflowId);
}

async function printProgress(client: Client, workflowId: string): Promise<void> {
  try {
    const { stages } = await readRun(client, workflowId);
    console.log(blockLines(stages, process.stdout.columns ?? 100).join('\n'));
  } catch {
    console.log('no worker answers for it, so it stands still: start one with saeflow worker, or run the same command again');
  }
}

/** Of a run that has ended the server knows the result; no worker is needed to tell it. */
async function printEnd(client: Client, workflowId: string): Promise<void> {
  try {
    const { stages, reportUri, changes } = pipelineResult.parse(await client.workflow.getHandle(workflowId).result());
    const rows = stages.map(({ artifact: { stage, key, seconds, bytes }, cached }) => [stage, cached ? 'found in the store' : 'made', formatDuration(seconds), formatBytes(bytes), key.slice(0, 12)]);
    console.log(alignTable(rows, [2, 3]).join('\n'));
    if (changes !== undefined) console.log(summarizeChanges(changes).join('\n'));
    console.log(`report: ${reportUri}`);
  } catch (error) {
    if (!(error instanceof WorkflowFailedError)) throw error;
    const { message, remedy } = explain(error);
    console.log([message, ...(remedy === undefined ? [] : [remedy])].join('\n'));
  }
}
