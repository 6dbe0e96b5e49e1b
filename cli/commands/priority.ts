// `saeflow priority`: moves a run that is going on forward or back in the queues.
import { Command } from 'commander';
import { answered, withRun } from './control.ts';
import { addExamples, toPriority } from './options.ts';

export function priorityCommand(): Command {
  const command = new Command('priority')
    .description('move a run in the queues; tasks that wait there already keep their place')
    .argument('<run>', 'a name, name/hash or workflow id')
    .argument('<n>', '1 is served first, 5 last', toPriority);
  addExamples(command, 'priority demo 1');
  return command.action(async (run: string, priority: number) => {
    await withRun(run, async (temporal, workflowId) => {
      await answered(temporal, () => temporal.client.workflow.getHandle(workflowId).executeUpdate<number, [number]>('setPriority', { args: [priority] }));
      console.log(`${workflowId} has priority ${priority} from its next shard or segment on`);
    });
  });
}
