// What durability costs a real run: of its wall time, how much had no activity executing once a worker had taken it. Computed from the histories of
// a run that is finished, such as the demo's, on the server that has them.
import { Client, Connection } from '@temporalio/client';
import { listRuns } from '../cli/runs.ts';
import { stateFolder } from '../cli/state.ts';
import { UserError } from '../schemas/errors.ts';
import { stageNames } from '../schemas/stages.ts';
import { resolveTemporal } from '../setup/temporal.ts';
import { startTemporalServer } from '../workers/temporalServer.ts';
import type { Bench, BenchOutcome, BenchSettings } from './bench.ts';
import { runsOf, type Activity, type WorkflowRun } from './histories.ts';
import { coveredMs, gapsIn, type Interval } from './intervals.ts';
import { compare } from './result.ts';

/** The share of the demo's wall time that orchestration may take. */
const goalShare = 0.02;
const pausesShown = 8;
/** Activities that look up, plan, commit and publish: work, but none that a script without Temporal would not do too. */
const bookkeeping: ReadonlySet<string> = new Set(['hashConfig', 'resolveCorpus', 'planStage', 'commitStage', 'publishRun']);

export const orchestration: Bench = {
  summary: 'share of a finished run (the newest of the state folder, or --address, --run) in which no activity was executing',
  rounds: 1,
  run: (settings) => withServer(settings, (client) => run(client, settings)),
};

async function run(client: Client, { run: workflowId, log }: BenchSettings): Promise<BenchOutcome> {
  const runs = await finishedRun(client, workflowId);
  const [pipeline] = runs;
  const activities = runs.flatMap((one) => one.activities);
  // before that there was no worker, and nothing to orchestrate
  const span = { fromMs: pipeline!.takenMs, toMs: pipeline!.span.toMs };
  const whole = shareOf(span, activities);
  log(`${pipeline!.workflowId}: ${describe(whole)}`);
  const stages = runs.filter(({ type }) => stageNames.some((name) => name === type));
  const cases = stages.map((stage) => {
    const share = shareOf(stage.span, runs.filter(({ workflowId }) => workflowId === stage.workflowId || workflowId.startsWith(`${stage.workflowId}/`)).flatMap((one) => one.activities));
    log(`  ${stage.type}: ${describe(share)}`);
    return compare(`${stage.type}, without an activity`, 'share', share.idle, goalShare, 'of the wall time at most', { note: describe(share) });
  });
  for (const pause of longestPauses(span, activities)) log(`  pause ${pause}`);
  const retried = activities.filter(({ attempt }) => attempt > 1).length;
  return {
    cases: [compare('a run, without an activity', 'share', whole.idle, goalShare, 'of the wall time at most', { goal: 1, note: describe(whole) }), ...cases],
    notes: [
      `${pipeline!.workflowId}: ${runs.length} histories, ${activities.length} activities, the longest history ${Math.max(...runs.map(({ events }) => events))} events`,
      `${((pipeline!.takenMs - pipeline!.span.fromMs) / 1_000).toFixed(2)} s passed before a worker took the run, which are not counted`,
      ...(retried === 0 ? [] : [`${retried} activities were tried again; the time of their earlier attempts, which histories do not have, counts as orchestration`]),
    ],
    backend: 'a run on its own Temporal server',
  };
}

/** The longest stretches without an activity, and what ended them: where to look for what costs time. */
function longestPauses(span: Interval, activities: readonly Activity[]): string[] {
  const gaps = gapsIn(activities, span).sort((a, b) => b.toMs - b.fromMs - (a.toMs - a.fromMs));
  return gaps.slice(0, pausesShown).map(({ fromMs, toMs }) => {
    const next = activities.find((activity) => activity.fromMs === toMs)?.type ?? 'the end';
    return `${((toMs - fromMs) / 1_000).toFixed(2)} s at ${((fromMs - span.fromMs) / 1_000).toFixed(2)} s, before ${next}`;
  });
}

interface Share {
  wallMs: number;
  /** Of the wall time: no activity executing, and none but bookkeeping. Above 0, for ratios. */
  idle: number;
  bookkeeping: number;
}

function shareOf(span: Interval, activities: readonly Activity[]): Share {
  const wallMs = span.toMs - span.fromMs;
  const busyMs = coveredMs(activities, span);
  const computingMs = coveredMs(activities.filter(({ type }) => !bookkeeping.has(type)), span);
  return { wallMs, idle: Math.max(1e-6, (wallMs - busyMs) / wallMs), bookkeeping: (busyMs - computingMs) / wallMs };
}

function describe({ wallMs, idle, bookkeeping: kept }: Share): string {
  return `${(wallMs / 1_000).toFixed(2)} s, ${(100 * idle).toFixed(2)} % without an activity, ${(100 * kept).toFixed(2)} % with look-ups and commits only`;
}

/** The histories of a run that made something, its own first. */
async function finishedRun(client: Client, workflowId: string | undefined): Promise<WorkflowRun[]> {
  const ids = workflowId === undefined ? (await listRuns(client)).filter(({ status }) => status.name === 'COMPLETED') : [{ workflowId, runId: undefined }];
  for (const id of ids) {
    const runs = [];
    for await (const one of runsOf(client, id.workflowId, id.runId)) runs.push(one);
    if (runs.length > 1) return runs;
  }
  throw new UserError('no run on this server is finished and made anything', 'Name another server with --address or --state, or start a run: npm run demo.');
}

async function withServer<Result>({ address, state = stateFolder() }: BenchSettings, use: (client: Client) => Promise<Result>): Promise<Result> {
  if (address !== undefined) return withClient(address, use);
  const temporal = await resolveTemporal({ ...process.env, TEMPORAL_ADDRESS: undefined, TEMPORAL_PROFILE: undefined }, () => undefined);
  if (temporal.kind !== 'executable') throw new UserError('there is no Temporal executable here', 'Name the server with --address.');
  const server = await startTemporalServer({ executable: temporal.path, stateDir: state });
  try {
    return await withClient(server.address, use);
  } finally {
    if (!server.attached) await server.stop();
  }
}

async function withClient<Result>(address: string, use: (client: Client) => Promise<Result>): Promise<Result> {
  const connection = await Connection.connect({ address });
  try {
    return await use(new Client({ connection }));
  } finally {
    await connection.close();
  }
}
