// `saeflow run`: any preset or configuration, followed to its end or left to workers.
import { Command } from 'commander';
import { runWorkflowId } from '../../data/configHash.ts';
import { findTemporal } from '../../setup/temporal.ts';
import { workflowUrl } from '../connection.ts';
import { followRun } from '../follow.ts';
import { resolveConfig } from '../input.ts';
import { bringUp } from '../localStack.ts';
import { startRun } from '../runs.ts';
import { addConfigOptions, addExamples, addPriorityOption, addRunOptions, followOptions, type RunOptions } from './options.ts';

interface Options extends RunOptions {
  detach?: boolean;
  worker?: boolean;
}

export function runCommand(): Command {
  const command = new Command('run')
    .description('carry out a run; the same run again goes on where it was, or finds everything done')
    .argument('[preset]', 'tiny, demo, small or monosemantic (default: demo)')
    .option('--preset <name>', 'the same as the argument')
    .option('--detach', 'start the run and return; workers (saeflow worker) carry it out')
    .option('--worker', 'work here too, although TEMPORAL_ADDRESS names a server that others work for')
    .option('--no-worker', 'do not work here');
  addRunOptions(addPriorityOption(addConfigOptions(command)));
  addExamples(command, 'run small --corpus corpus.parquet --name essays', 'run --config mine.json', 'run tiny --set saes.0.features=128', 'run small --name quick --priority 1', 'run monosemantic --store s3://bucket/saeflow --detach');
  return command.action(async (preset: string | undefined, options: Options) => {
    const chosen = preset ?? options.preset;
    const worker = options.worker ?? (!options.detach && (await findTemporal())?.kind !== 'address');
    const config = resolveConfig({ ...options, ...(chosen === undefined ? {} : { preset: chosen }) }, { attended: worker });
    const follow = followOptions(options, worker);
    if (!options.detach) return followRun(config, follow);
    const stack = await bringUp({ ...follow, worker: false, say: console.log, onGiveUp: console.error });
    try {
      const { workflowId, attached } = await startRun(stack.temporal.client, config);
      console.log(`${attached ? 'already running:' : 'started'} ${workflowId}`);
      console.log(`Temporal UI  ${workflowUrl(stack.temporal, workflowId) ?? stack.temporal.address}`);
      console.log(`workers carry it out: saeflow worker\nwatch it with: saeflow status ${runWorkflowId(config)} --watch`);
    } finally {
      await stack.stop({ keepServer: true });
    }
  });
}
