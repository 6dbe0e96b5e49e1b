// `saeflow replay`: whether recorded histories still lead the workflow code of this clone to the same commands. For a bug
// someone else met (their history, this code), and before an upgrade (running workflows, new code).
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { History } from '@temporalio/common/lib/proto-utils.js';
import { Command } from 'commander';
import { UserError } from '../../schemas/errors.ts';
import type { Replayed } from '../../workers/replay.ts';
import { requireTemporal } from '../connection.ts';
import { historiesOf } from '../histories.ts';
import { findRun } from '../runs.ts';
import { addExamples } from './options.ts';

interface Options {
  save?: string;
  children: boolean;
}

export function replayCommand(): Command {
  const command = new Command('replay')
    .description('replay workflow histories against the code of this clone, without running anything; exit code 1 where they differ')
    .argument('<history.json or run...>', "files downloaded from Temporal's UI, or a run (name, name/hash, workflow id) of the server")
    .option('--save <folder>', 'also write the histories fetched from the server there, as files')
    .option('--no-children', 'only the workflow itself, not the stages and partitions it started');
  addExamples(command, 'replay demo', 'replay saeflow/trainSae/3f1c2d4e5f60 --save histories', 'replay histories/*.json');
  return command.action(async (what: string[], options: Options) => {
    const { quietRuntime, replayHistory } = await import('../../workers/replay.ts');
    quietRuntime();
    const different: Replayed[] = [];
    for (const name of what) {
      for await (const history of historiesIn(name, options)) {
        const replayed = await replayHistory(history);
        for (const line of describe(replayed)) console.log(line);
        if (replayed.difference !== undefined) different.push(replayed);
      }
    }
    if (different.length === 0) return;
    throw new UserError(
      `${different.length === 1 ? 'one history does' : `${different.length} histories do`} not replay: this code would not have done what is recorded`,
      'A run with such a history must stay with workers of the build that it began on (saeflow worker --build-id, docs/operations.md); or the change to workflows/ needs patched().',
    );
  });
}

async function* historiesIn(what: string, { save, children }: Options): AsyncGenerator<History> {
  const { formatHistory, parseHistory } = await import('../../workers/historyJson.ts');
  if (existsSync(what)) return yield parseHistory(readFileSync(what, 'utf8'), what);
  if (what.endsWith('.json')) throw new UserError(`${what}: no such file`, 'Name a downloaded history, or a run of the Temporal server.');
  const temporal = await requireTemporal();
  try {
    for await (const { workflowId, runId, history } of historiesOf(temporal.client, await findRun(temporal.client, what), { children })) {
      if (save !== undefined) {
        mkdirSync(save, { recursive: true });
        writeFileSync(join(save, `${workflowId.replaceAll('/', '-')}-${runId.slice(-8)}.json`), formatHistory(history));
      }
      yield history;
    }
  } finally {
    await temporal.close();
  }
}

function describe({ workflowId, workflowType, events, difference }: Replayed): string[] {
  if (difference === undefined) return [`replays  ${workflowType}  ${workflowId}  (${events} events)`];
  const { message, fromEvent, toEvent, eventTypes } = difference;
  return [
    `DIFFERS  ${workflowType}  ${workflowId}  at event ${fromEvent === toEvent ? fromEvent : `${fromEvent} to ${toEvent}`} of ${events}`,
    `         recorded: ${eventTypes.join(', ')}`,
    ...message.split('\n').map((line) => `         ${line}`),
  ];
}
