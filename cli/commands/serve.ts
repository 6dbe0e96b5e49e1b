// `saeflow serve` (hidden): the dashboard's server that a demo keeps running; registers itself once it listens.
import { Command } from 'commander';
import { openStore } from '../../data/artifactStore.ts';
import { serveSite } from '../../dashboard/serve.ts';
import { storeSource } from '../../dashboard/storeSource.ts';
import { Interrupt } from '../interrupt.ts';
import { register, unregister } from '../state.ts';
import { toPort } from './options.ts';

export function serveCommand(): Command {
  return new Command('serve')
    .argument('<store>')
    .argument('<site>')
    .option('--port <port>', 'default: a free one', toPort)
    .action(async (storeUri: string, site: string, { port }: { port?: number }) => {
      const interrupt = new Interrupt();
      const server = await serveSite(storeSource(openStore(storeUri), site), port === undefined ? {} : { port });
      register('dashboard', { pid: process.pid, commandLine: 'serve', url: server.url, folder: `${storeUri}/${site}` });
      await interrupt.raised;
      unregister('dashboard', process.pid);
      await server.close();
      interrupt.release();
    });
}
