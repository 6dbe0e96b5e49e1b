// `saeflow server`: the local Temporal server in the foreground, for workers and runs in other terminals.
import { Command } from 'commander';
import { Interrupt } from '../interrupt.ts';
import { bringUp } from '../localStack.ts';
import { storeUri } from '../state.ts';
import { addExamples, addPortOptions } from './options.ts';

export function serverCommand(): Command {
  const command = new Command('server').description('run a Temporal server on this machine until Ctrl-C; its database is kept');
  addPortOptions(command);
  addExamples(command, 'server', 'server --port 7233 --ui-port 8233');
  return command.action(async ({ port, uiPort }: { port?: number; uiPort?: number }) => {
    const interrupt = new Interrupt();
    let failure: Error | undefined;
    const stack = await bringUp({
      storeUri: storeUri(),
      worker: false,
      say: console.log,
      onGiveUp: (error) => {
        failure = error;
        process.kill(process.pid, 'SIGTERM');
      },
      ...(port === undefined ? {} : { port }),
      ...(uiPort === undefined ? {} : { uiPort }),
    });
    interrupt.beforeKill(() => stack.kill());
    console.log(`Temporal     ${stack.temporal.address}, namespace ${stack.temporal.namespace}\nTemporal UI  ${stack.temporal.uiUrl ?? 'unknown: set SAEFLOW_TEMPORAL_UI_URL'}\n(Ctrl-C ends)`);
    await interrupt.raised;
    await stack.stop({ keepServer: false });
    interrupt.release();
    if (failure !== undefined) throw failure;
  });
}
