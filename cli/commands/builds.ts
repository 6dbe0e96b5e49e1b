// `saeflow builds`: which builds of workers there are, which one takes new runs, and moving a run from one to another.
import { Command } from 'commander';
import type { Client } from '@temporalio/client';
import { UserError } from '../../schemas/errors.ts';
import { noBuild } from '../../schemas/progress.ts';
import { listBuilds, moveToBuild, openFamily, useBuild } from '../builds.ts';
import { requireTemporal } from '../connection.ts';
import { alignTable } from '../../schemas/format.ts';
import { findRun } from '../runs.ts';
import { addExamples } from './options.ts';

export function buildsCommand(): Command {
  const command = new Command('builds').description('builds of workers (saeflow worker --build-id): which one takes new runs, and which can be ended').action(() => withClient(printBuilds));
  addExamples(command, 'builds', 'builds use 0.2.0', `builds use ${noBuild}`, 'builds move demo 0.2.0');
  const use = new Command('use').description('make new runs begin on this build; those that go on stay with theirs').argument('<build>', `a build id of which a worker runs; ${noBuild}: workers without one`);
  use.action((buildId: string) =>
    withClient(async (client) => {
      await useBuild(client, buildId);
      console.log(`new runs begin on ${buildId === noBuild ? 'workers without a build id' : buildId}`);
    }),
  );
  const move = new Command('move').description('move a run, with its open stages and partitions, to another build; check with saeflow replay first').argument('<run>', 'a name, name/hash or workflow id').argument('<build>', 'a build id');
  move.action((run: string, buildId: string) =>
    withClient(async (client) => {
      const workflowIds = await openFamily(client, await findRun(client, run));
      if (workflowIds.length === 0) throw new UserError(`${run} has ended`, 'Only a run that goes on can be moved; start it again and it begins on the current build.');
      await moveToBuild(client, workflowIds, buildId);
      for (const workflowId of workflowIds) console.log(`${workflowId}: on build ${buildId} from its next task on`);
    }),
  );
  return command.addCommand(use).addCommand(move);
}

async function printBuilds(client: Client): Promise<void> {
  const builds = await listBuilds(client);
  if (builds.length === 0) return console.log('no worker ever had a build id: runs go to any worker (saeflow worker --build-id pins them)');
  const rows = builds.map(({ buildId, state, openWorkflows, createdAt }) => [buildId, state, String(openWorkflows), createdAt.toISOString().slice(0, 19)]);
  console.log(alignTable([['build', 'state', 'open workflows', 'first seen'], ...rows], [2]).join('\n'));
}

async function withClient(work: (client: Client) => Promise<void>): Promise<void> {
  const temporal = await requireTemporal();
  try {
    await work(temporal.client);
  } finally {
    await temporal.close();
  }
}
