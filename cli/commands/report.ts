// `saeflow report`: what a finished run made and how well, from the store alone.
import { Command } from 'commander';
import { findReport } from '../reports.ts';
import { storeUri } from '../state.ts';
import { summarize } from '../summary.ts';
import { addExamples, addStoreOption } from './options.ts';

export function reportCommand(): Command {
  const command = new Command('report')
    .description('the numbers of a finished run, all on held-out tokens')
    .argument('[run]', 'a name, name/hash or workflow id (default: the newest)')
    .option('--json', 'exactly the report.json of the run');
  addStoreOption(command);
  addExamples(command, 'report', 'report demo --json');
  return command.action(async (run: string | undefined, { json, store }: { json?: boolean; store?: string }) => {
    const { report } = await findReport(storeUri(store), run);
    console.log(json ? JSON.stringify(report, null, 2) : summarize(report).join('\n'));
  });
}
