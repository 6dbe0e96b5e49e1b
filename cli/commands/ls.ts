// `saeflow ls`: the runs there are, going on or finished.
import { Command } from 'commander';
import { openStore } from '../../data/artifactStore.ts';
import { findRunningTemporal } from '../connection.ts';
import { alignTable, formatDuration } from '../format.ts';
import { listReports } from '../reports.ts';
import { listRuns } from '../runs.ts';
import { storeUri } from '../state.ts';
import { addExamples, addStoreOption } from './options.ts';

export function lsCommand(): Command {
  const command = new Command('ls').description('list runs, the newest first: of the Temporal server if one runs, else the finished ones of the store');
  addStoreOption(command);
  addExamples(command, 'ls');
  return command.action(async ({ store }: { store?: string }) => {
    const temporal = await findRunningTemporal();
    const rows = temporal === undefined ? await finishedRuns(storeUri(store)) : await knownRuns(temporal).finally(() => temporal.close());
    if (rows.length === 0) console.log('no runs yet; start one with saeflow demo');
    else console.log(alignTable([['run', 'status', 'started', 'took'], ...rows]).join('\n'));
  });
}

async function knownRuns({ client }: NonNullable<Awaited<ReturnType<typeof findRunningTemporal>>>): Promise<string[][]> {
  const runs = await listRuns(client);
  return runs.map(({ workflowId, status, startTime, closeTime }) => [
    workflowId.replace(/^saeflow\//, ''),
    status.name.toLowerCase(),
    startTime.toISOString().slice(0, 19),
    formatDuration(((closeTime?.getTime() ?? Date.now()) - startTime.getTime()) / 1_000),
  ]);
}

async function finishedRuns(uri: string): Promise<string[][]> {
  const reports = await listReports(openStore(uri));
  return reports.map(({ report, writtenAt }) => [`${report.run}/${report.configHash.slice(0, 12)}`, 'completed', writtenAt?.toISOString().slice(0, 19) ?? '', '']);
}
