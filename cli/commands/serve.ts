// `saeflow serve` (hidden): the dashboard's server that a demo keeps running; registers itself once it listens.
import { Command } from 'commander';
import { serveSite } from '../../dashboard/serve.ts';
import { Interrupt } from '../interrupt.ts';
import { register, unregister } from '../state.ts';
import { toPort } from './options.ts';

export function serveCommand(): Command {
  return new Command('serve')
    .argument('<folder>')
    .option('--port <port>', 'default: a free one', toPort)
    .action(async (folder: string, { port }: { port?: number }) => {
      const interrupt = new Interrupt();
      const server = await serveSite(folder, port === undefined ? {} : { port });
      register('dashboard', { pid: process.pid, commandLine: 'serve', url: server.url, folder });
      await interrupt.raised;
      unregister('dashboard', process.pid);
      await server.close();
      interrupt.release();
    });
}
