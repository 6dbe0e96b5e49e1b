// `saeflow ls`: the runs there are, going on or finished, or the artifacts of the store.
import { Command } from 'commander';
import { findRunningTemporal } from '../connection.ts';
import { artifactsOfStore, artifactTable, runsOfServer, runsOfStore, runTable, type ListedRun } from '../runList.ts';
import { storeUri } from '../state.ts';
import { addExamples, addStoreOption } from './options.ts';

interface Options {
  store?: string;
  artifacts?: boolean;
  json?: boolean;
}

export function lsCommand(): Command {
  const command = new Command('ls')
    .description('list runs, the newest first: of the Temporal server if one runs, else the finished ones of the store')
    .option('--artifacts', 'list the artifacts of the store instead')
    .option('--json', 'as JSON');
  addStoreOption(command);
  addExamples(command, 'ls', 'ls --json', 'ls --artifacts --store s3://bucket/saeflow');
  return command.action(async ({ store, artifacts, json }: Options) => {
    const uri = storeUri(store);
    if (artifacts) {
      const found = await artifactsOfStore(uri);
      print(found, json, found.length === 0 ? [`no artifacts are in ${uri}`] : artifactTable(found));
      return;
    }
    const runs = await knownRuns(uri);
    print(runs, json, runs.length === 0 ? ['no runs yet; start one with saeflow demo'] : runTable(runs));
  });
}

async function knownRuns(uri: string): Promise<ListedRun[]> {
  const temporal = await findRunningTemporal();
  if (temporal === undefined) return runsOfStore(uri);
  try {
    return await runsOfServer(temporal.client);
  } finally {
    await temporal.close();
  }
}

function print(data: unknown, json: boolean | undefined, lines: readonly string[]): void {
  console.log(json ? JSON.stringify(data, null, 2) : lines.join('\n'));
}
