// `saeflow stop`: ends what demos and runs of this folder left running.
import { Command } from 'commander';
import { attachTemporalServer } from '../../workers/temporalServer.ts';
import { endProcess } from '../processes.ts';
import { stopServing } from '../site.ts';
import { isSaeflow, registered, stateFolder, unregister } from '../state.ts';
import { addExamples } from './options.ts';

const drainMs = 40_000;
/** A command drains its worker, then ends its server. */
const orderlyEndMs = 60_000;

export function stopCommand(): Command {
  const command = new Command('stop').description('end the worker, dashboard and Temporal server that run for this folder; nothing is lost');
  addExamples(command, 'stop');
  return command.action(async () => {
    const worker = registered('worker');
    if (worker !== undefined) {
      // A command that watches over its worker would only start it again.
      if (worker.owner !== undefined && worker.owner !== worker.pid && isSaeflow(worker.owner)) {
        await endProcess(worker.owner, orderlyEndMs);
        console.log(`stopped the command that ran (pid ${worker.owner})`);
      }
      await endProcess(worker.pid, drainMs);
      unregister('worker', worker.pid);
      console.log('stopped the worker');
    }
    if (await stopServing()) console.log('stopped the dashboard');
    const server = await attachTemporalServer(stateFolder());
    await server?.stop();
    console.log(server === undefined ? 'no Temporal server was running' : 'stopped the Temporal server');
  });
}
