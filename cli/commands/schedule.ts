// `saeflow schedule …`: runs that start by themselves, on the Temporal server that other commands talk to.
import type { CalendarSpec, IntervalSpec, ScheduleDescription, ScheduleOverlapPolicy } from '@temporalio/client';
import { Command, Option } from 'commander';
import { configHash } from '../../data/configHash.ts';
import { presets } from '../../presets/presets.ts';
import { UserError } from '../../schemas/errors.ts';
import { requireTemporal, type Temporal } from '../connection.ts';
import { alignTable, formatDuration } from '../../schemas/format.ts';
import { resolveConfig, type ConfigOptions } from '../input.ts';
import { by, calendar, durationMs, eachBy, instant, interval, overlapName, overlapNames, overlapPolicy, scheduleName, timeZone } from '../scheduleOptions.ts';
import { backfillSchedule, configOf, createSchedule, describeSchedule, listSchedules, recentRuns, triggerSchedule, withSchedule, type ScheduledRun, type ScheduleRequest } from '../schedules.ts';
import { describeInstant, describeTimes } from '../scheduleText.ts';
import { addConfigOptions, addExamples } from './options.ts';

interface CreateOptions extends ConfigOptions {
  cron?: string[];
  every?: IntervalSpec[];
  calendar?: CalendarSpec[];
  timeZone?: string;
  jitter?: number;
  catchUpWindow: number;
  overlap: ScheduleOverlapPolicy;
  pauseOnFailure: boolean;
  note?: string;
  startPaused?: boolean;
  replace?: boolean;
}

const shownTimes = 5;
const shownRuns = 5;
const dayMs = 86_400_000;

/** The command with its subcommands. */
export function scheduleCommand(): Command {
  const command = new Command('schedule').description('start a run again and again: new data make new artifacts and a comparison, no new data end in seconds');
  for (const sub of [createCommand(), listCommand(), showCommand(), pauseCommand(), resumeCommand(), triggerCommand(), backfillCommand(), deleteCommand()]) {
    command.addCommand(sub.showHelpAfterError('(add --help for options and examples)'));
  }
  return addExamples(command, 'schedule create nightly small --corpus "texts/**/*.jsonl" --cron "0 3 * * *" --time-zone Europe/Berlin', 'schedule list', 'schedule trigger nightly');
}

function createCommand(): Command {
  const command = new Command('create')
    .description('create a schedule, and say when it will start runs')
    .argument('<name>', 'what to call it; its runs are called so too, unless --name says otherwise', by(scheduleName))
    .argument('[preset or config.json]', 'tiny, demo, small or monosemantic, or a file (default: demo)')
    .option('--preset <name>', 'the same as the argument')
    .option('--cron <expression>', 'minute, hour, day of month, month, day of week; repeat for more', (text: string, before: string[] = []) => [...before, text])
    .option('--every <duration>', 'such as 6h, or 24h/3h: an offset after the slash; repeat for more', eachBy(interval))
    .option('--calendar <json>', 'such as \'{"dayOfWeek": "SUNDAY", "hour": 3}\'; repeat for more', eachBy(calendar))
    .option('--time-zone <name>', 'of cron and calendar, such as Europe/Berlin (default: UTC)', by(timeZone))
    .option('--jitter <duration>', 'start up to this much later, so that schedules do not all start at once', by(durationMs))
    .addOption(new Option('--catch-up-window <duration>', 'after an outage of the server start what was due within this time').argParser(by(durationMs)).default(dayMs, '1d'))
    .addOption(new Option('--overlap <policy>', `when a run is due and the one before still goes on: ${overlapNames}`).argParser(by(overlapPolicy)).default('SKIP', 'skip'))
    .option('--no-pause-on-failure', 'go on starting runs after one has failed')
    .option('--note <text>', 'shown with the schedule')
    .option('--start-paused', 'start nothing until saeflow schedule resume')
    .option('--replace', 'change the schedule of that name, if there is one');
  addConfigOptions(command);
  addExamples(command, 'schedule create weekly small --corpus "texts/**/*.jsonl" --cron "0 3 * * 1" --time-zone Europe/Berlin', 'schedule create fresh --config mine.json --every 6h --jitter 10m', 'schedule create sundays demo --set saes.0.features=4096 --calendar \'{"dayOfWeek": "SUNDAY", "hour": 3}\' --start-paused');
  return command.action(async (name: string, input: string | undefined, options: CreateOptions) => {
    const request = requestOf(name, input, options);
    await withTemporal(async (temporal) => {
      const description = await createSchedule(temporal.client, request, { replace: options.replace ?? false });
      console.log((await scheduleLines(temporal, description)).join('\n'));
      console.log('workers carry its runs out when they are due: saeflow worker');
    });
  });
}

function listCommand(): Command {
  const command = new Command('list').description('the schedules there are: state, next time, and what came of the last run');
  addExamples(command, 'schedule list');
  return command.action(() =>
    withTemporal(async ({ client }) => {
      const schedules = await listSchedules(client);
      if (schedules.length === 0) return console.log('no schedules yet; make one with saeflow schedule create');
      const rows = await Promise.all(
        schedules.map(async (description) => {
          const { scheduleId, spec, info } = description;
          const [last] = await recentRuns(client, description, 1);
          const [next] = info.nextActionTimes;
          return [scheduleId, stateOf(description), describeTimes(spec), next === undefined || description.state.paused ? '' : describeInstant(next, spec.timezone), last === undefined ? 'none yet' : runText(last)];
        }),
      );
      console.log(alignTable([['schedule', 'state', 'due', 'next', 'last run'], ...rows]).join('\n'));
    }),
  );
}

function showCommand(): Command {
  return named('show', 'what a schedule does, when next, and its last runs', async (temporal, name) => {
    console.log((await scheduleLines(temporal, await describeSchedule(temporal.client, name))).join('\n'));
  });
}

function pauseCommand(): Command {
  return named<{ note?: string }>('pause', 'start no more runs until resume; one that goes on is left alone', async ({ client }, name, { note }) => {
    await withSchedule(client, name, (handle) => handle.pause(note ?? 'paused by saeflow schedule pause'));
    console.log(`${name} is paused; go on with saeflow schedule resume ${name}`);
  }).option('--note <text>', 'why, shown with the schedule');
}

function resumeCommand(): Command {
  return named<{ note?: string }>('resume', 'start runs again after pause, or after a failure paused it', async ({ client }, name, { note }) => {
    const { spec, info } = await withSchedule(client, name, async (handle) => {
      await handle.unpause(note ?? 'resumed by saeflow schedule resume');
      return handle.describe();
    });
    const [next] = info.nextActionTimes;
    console.log(`${name} goes on${next === undefined ? '' : `; next ${describeInstant(next, spec.timezone)}`}`);
  }).option('--note <text>', 'why, shown with the schedule');
}

function triggerCommand(): Command {
  return named('trigger', 'start a run now, as its overlap policy allows', async ({ client }, name) => {
    const started = await triggerSchedule(client, name);
    if (started !== undefined) return console.log(`started ${started}\nwatch it with: saeflow status ${started} --watch`);
    const { info, policies } = await describeSchedule(client, name);
    const running = info.runningActions.map(({ workflow }) => workflow.workflowId).join(', ');
    console.log(`not started: ${running === '' ? 'the run before' : running} still goes on (overlap ${overlapName(policies.overlap)})`);
  });
}

function backfillCommand(): Command {
  return named<{ from: Date; to: Date; overlap?: ScheduleOverlapPolicy }>('backfill', 'take the runs of a past stretch of time now; they read the data of now', async ({ client }, name, options) => {
    await backfillSchedule(client, name, options);
    console.log(`${name}: runs due from ${options.from.toISOString()} to ${options.to.toISOString()} are taken now; see saeflow schedule show ${name}`);
  }, '--from 2026-11-16 --to 2026-11-23')
    .requiredOption('--from <time>', 'such as 2026-11-16 or 2026-11-16T03:00:00+01:00', by(instant))
    .requiredOption('--to <time>', 'likewise, not later than now', by(instant))
    .option('--overlap <policy>', `for these only: skip makes one run of them, buffer-all one after the other (default: the schedule's own)`, by(overlapPolicy));
}

function deleteCommand(): Command {
  return named('delete', 'delete a schedule; its runs and what they made stay', async ({ client }, name) => {
    await withSchedule(client, name, (handle) => handle.delete());
    console.log(`deleted ${name}; a run that goes on is left alone (saeflow cancel ends it)`);
  });
}

function named<Options extends object>(verb: string, description: string, work: (temporal: Temporal, name: string, options: Options) => Promise<void>, example = ''): Command {
  const command = new Command(verb).description(description).argument('<name>', 'as saeflow schedule list names it');
  addExamples(command, `schedule ${verb} nightly ${example}`.trim());
  return command.action((name: string, options: Options) => withTemporal((temporal) => work(temporal, name, options)));
}

function requestOf(name: string, input: string | undefined, options: CreateOptions): ScheduleRequest {
  const { cron = [], every = [], calendar: calendars = [], timeZone: timezone, jitter, catchUpWindow, overlap, pauseOnFailure, note, startPaused } = options;
  if (cron.length + every.length + calendars.length === 0) throw new UserError(`schedule ${name}: no times`, 'Give --cron "0 3 * * 1", --every 6h or --calendar \'{"dayOfWeek": "SUNDAY", "hour": 3}\'.');
  if (timezone !== undefined && cron.length + calendars.length === 0) throw new UserError(`--time-zone ${timezone}: intervals count from midnight UTC of 1 January 1970`, 'Leave --time-zone out, use --every with an offset (24h/3h), or use --cron.');
  const file = input?.endsWith('.json') === true ? { config: input } : input === undefined ? {} : { preset: input };
  const config = resolveConfig({ ...options, ...file });
  // A preset's own name would mix these runs with others of the preset.
  const unnamed = options.name === undefined && Object.hasOwn(presets, config.name);
  return {
    name,
    config: unnamed ? { ...config, name } : config,
    times: { cronExpressions: cron, intervals: every, calendars, ...(timezone === undefined ? {} : { timezone }), ...(jitter === undefined ? {} : { jitter }) },
    overlap,
    catchUpMs: catchUpWindow,
    pauseOnFailure,
    paused: startPaused ?? false,
    ...(note === undefined ? {} : { note }),
  };
}

async function scheduleLines({ client, uiUrl, namespace }: Temporal, description: ScheduleDescription): Promise<string[]> {
  const { scheduleId, spec, policies, info, action } = description;
  const config = configOf(description);
  const runs = await recentRuns(client, description, shownRuns);
  const next = info.nextActionTimes.slice(0, shownTimes).map((time) => describeInstant(time, spec.timezone));
  const skipped = [...(info.numActionsSkippedOverlap > 0 ? [`${info.numActionsSkippedOverlap} skipped because the run before still went on`] : []), ...(info.numActionsMissedCatchupWindow > 0 ? [`${info.numActionsMissedCatchupWindow} missed in outages`] : [])];
  const rows = [
    ['schedule', `${scheduleId}: ${stateOf(description)}`],
    ['due', describeTimes(spec)],
    ['run', config === undefined ? JSON.stringify(action.args?.[0] ?? {}) : `${config.name} (${configHash(config).slice(0, 12)}), corpus ${config.corpus.paths.join(' ')}`],
    ['policy', `overlap ${overlapName(policies.overlap)}, catch-up window ${formatDuration(policies.catchupWindow / 1_000)}, ${policies.pauseOnFailure ? 'pauses itself when a run fails' : 'goes on when a run fails'}`],
    ...(uiUrl === undefined ? [] : [['Temporal UI', `${uiUrl.replace(/\/$/, '')}/namespaces/${namespace}/schedules/${encodeURIComponent(scheduleId)}`]]),
    ...(next.length === 0 ? [['next', 'never: no such time comes']] : []),
    ...next.map((time, index) => [index === 0 ? (description.state.paused ? 'would be' : 'next') : '', time]),
    ...(runs.length === 0 ? [['last runs', 'none yet']] : runs.map((run, index) => [index === 0 ? 'last runs' : '', `${describeInstant(run.takenAt, spec.timezone)}  ${runText(run)}`])),
    ...skipped.map((text) => ['', text]),
  ];
  return alignTable(rows);
}

function stateOf({ state: { paused, note } }: Pick<ScheduleDescription, 'state'>): string {
  return `${paused ? 'paused' : 'active'}${note ? ` (${note})` : ''}`;
}

function runText({ workflowId, status, outcome, takenAt, closedAt }: ScheduledRun): string {
  const took = closedAt === undefined ? '' : ` in ${formatDuration((closedAt.getTime() - takenAt.getTime()) / 1_000)}`;
  return `${workflowId} ${status}${took}${outcome === '' ? '' : `: ${outcome}`}`;
}

async function withTemporal(work: (temporal: Temporal) => Promise<void>): Promise<void> {
  const temporal = await requireTemporal();
  try {
    await work(temporal);
  } finally {
    await temporal.close();
  }
}
