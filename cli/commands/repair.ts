// `saeflow repair`: makes what is damaged in a store anew, and only that.
import { Command } from 'commander';
import { findTemporal } from '../../setup/temporal.ts';
import { repair } from '../repair.ts';
import { storeUri } from '../state.ts';
import { addExamples, addPortOptions, addStoreOption } from './options.ts';

interface Options {
  store?: string;
  port?: number;
  uiPort?: number;
  worker?: boolean;
  stop?: boolean;
}

export function repairCommand(): Command {
  const command = new Command('repair')
    .description('make anew what saeflow verify finds damaged, and verify it; the shard, where a stage is made by shards')
    .argument('[what]', 'a run (name, name/hash, workflow id), or <stage>/<key> (default: the newest run)')
    .option('--worker', 'work here too, although TEMPORAL_ADDRESS names a server that others work for')
    .option('--no-worker', 'do not work here')
    .option('--stop', 'leave nothing running at the end (default where CI is set)');
  addStoreOption(addPortOptions(command));
  addExamples(command, 'repair', 'repair demo', 'repair sampleActivations/3f1c');
  return command.action(async (what: string | undefined, { store, port, uiPort, worker, stop }: Options) => {
    await repair(what, {
      storeUri: storeUri(store),
      worker: worker ?? (await findTemporal())?.kind !== 'address',
      stop: stop ?? Boolean(process.env['CI']),
      ...(port === undefined ? {} : { port }),
      ...(uiPort === undefined ? {} : { uiPort }),
    });
  });
}
