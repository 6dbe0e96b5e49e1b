// `saeflow open`: a run's dashboard in the browser, for as long as the command runs.
import { Command } from 'commander';
import { openStore } from '../../data/artifactStore.ts';
import { serveSite } from '../../dashboard/serve.ts';
import { storeSource } from '../../dashboard/storeSource.ts';
import { Interrupt } from '../interrupt.ts';
import { findReport } from '../reports.ts';
import { sitePath } from '../site.ts';
import { storeUri } from '../state.ts';
import { addExamples, addStoreOption, toPort } from './options.ts';

export function openCommand(): Command {
  const command = new Command('open')
    .description("serve a run's dashboard on 127.0.0.1 until Ctrl-C")
    .argument('[run]', 'a name, name/hash or workflow id (default: the newest)')
    .option('--sae <name>', 'which SAE, where a run has several')
    .option('--port <port>', 'default: a free one', toPort);
  addStoreOption(command);
  addExamples(command, 'open', 'open demo --port 8080');
  return command.action(async (run: string | undefined, options: { sae?: string; port?: number; store?: string }) => {
    const uri = storeUri(options.store);
    const { report } = await findReport(uri, run);
    const site = sitePath(report, options.sae);
    const interrupt = new Interrupt();
    const server = await serveSite(storeSource(openStore(uri), site), options.port === undefined ? {} : { port: options.port });
    console.log(`dashboard of ${report.run}: ${server.url}\n(${uri}/${site}; Ctrl-C ends)`);
    await interrupt.raised;
    await server.close();
    interrupt.release();
  });
}
