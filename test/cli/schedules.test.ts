// Schedules on a real server, whose runs are real workflows with a world's activities: created or refused as a whole,
// triggered, skipped, paused by a failure, backfilled, listed, deleted.
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { ScheduleOverlapPolicy, type ScheduleDescription } from '@temporalio/client';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { describeTimes } from '../../cli/scheduleText.ts';
import { backfillSchedule, configOf, createSchedule, describeSchedule, listSchedules, recentRuns, triggerSchedule, withSchedule, type ScheduleRequest } from '../../cli/schedules.ts';
import { resolveInput } from '../../presets/resolve.ts';
import { UserError } from '../../schemas/errors.ts';
import { listed, until } from '../workflows/fixtures.ts';
import { startTemporal } from '../workflows/temporalEnvironment.ts';
import { withWorkers } from '../workflows/testWorkers.ts';
import { World } from '../workflows/world.ts';

// Several runs, one after the other, on machines that may be busy.
vi.setConfig({ testTimeout: 240_000 });
const hourMs = 3_600_000;
let environment: TestWorkflowEnvironment;
let world: World;
let made: string[] = [];
let count = 0;

beforeAll(async () => {
  environment = await startTemporal();
}, 600_000);
afterAll(() => environment?.teardown());
beforeEach(() => {
  world = new World();
});
afterEach(async () => {
  for (const name of made) await environment.client.schedule.getHandle(name).delete().catch(() => undefined);
  made = [];
});

/** A schedule that no other test has; once a year, unless the test says otherwise. */
function requestOf(change: Partial<ScheduleRequest> = {}): ScheduleRequest {
  const name = `test-${++count}`;
  made.push(name);
  const config = resolveInput({ preset: 'tiny', name, seed: 5_000 + count, tokenize: { splitSeed: 5_000 + count }, execution: { onShardFailure: 'fail', shardAttempts: 1 } });
  return { name, config, times: { cronExpressions: ['0 3 1 1 *'] }, overlap: ScheduleOverlapPolicy.SKIP, catchUpMs: hourMs, pauseOnFailure: true, paused: false, ...change };
}

async function refusal(work: Promise<unknown>): Promise<UserError> {
  const error: unknown = await work.then(() => 'it was not refused', (reason: unknown) => reason);
  expect(error).toBeInstanceOf(UserError);
  return error as UserError;
}

const client = () => environment.client;
const endOf = (name: string, runs: number) =>
  until(async () => {
    const description = await describeSchedule(client(), name);
    const recent = await recentRuns(client(), description, 10);
    // the schedule itself learns of a run's end a moment later
    return recent.length >= runs && description.info.runningActions.length === 0 && recent.every(({ status }) => status !== 'running') && { description, recent };
  });

describe('createSchedule', () => {
  it('makes a schedule that starts the pipeline with the whole configuration, and knows its next times in its zone', async () => {
    const request = requestOf({ times: { cronExpressions: ['30 3 * * 1'], timezone: 'Europe/Berlin', jitter: 600_000 }, note: 'every week' });
    const description = await createSchedule(client(), request);
    expect(description.action).toMatchObject({ workflowType: 'pipeline', taskQueue: 'saeflow', workflowId: `saeflow/${request.name}` });
    expect(configOf(description)).toEqual(request.config);
    expect(description.policies).toEqual({ overlap: 'SKIP', catchupWindow: hourMs, pauseOnFailure: true });
    expect(description.state).toMatchObject({ paused: false, note: 'every week' });
    expect(describeTimes(description.spec)).toBe('30 3 * * MON (Europe/Berlin), up to 10 min 00 s later');
    const { nextActionTimes } = description.info;
    expect(nextActionTimes.length).toBeGreaterThanOrEqual(5);
    for (const time of nextActionTimes) expect(time.toLocaleString('en-GB', { timeZone: 'Europe/Berlin', weekday: 'short', hour: '2-digit' })).toMatch(/^Mon,? 03$/);
  });

  it.each([
    ['a minute that is none', { cronExpressions: ['61 3 * * 1'] }, /^--cron "61 3 \* \* 1": Minute is not in range/i],
    ['too few fields', { cronExpressions: ['0 3'] }, /--cron "0 3"/],
    ['one wrong expression of two', { cronExpressions: ['0 3 * * 1', 'soon'] }, /--cron "soon"/],
    ['a day that never comes', { cronExpressions: ['0 0 30 2 *'] }, /--cron "0 0 30 2 \*": no such time ever comes/],
    ['a zone the server does not know', { cronExpressions: ['0 3 * * 1'], timezone: 'Mars/Olympus' }, /--time-zone Mars\/Olympus/],
  ] as [string, ScheduleRequest['times'], RegExp][])('refuses %s by name, and creates nothing', async (_what, times, message) => {
    const request = requestOf({ times });
    const error = await refusal(createSchedule(client(), request));
    expect(error.message).toMatch(message);
    expect(error.remedy).toContain('othing was created');
    expect((await refusal(describeSchedule(client(), request.name))).message).toBe(`no schedule is called "${request.name}" on this Temporal server`);
  });

  it('refuses a name that is taken, and replaces the schedule when told to', async () => {
    const request = requestOf();
    await createSchedule(client(), request);
    expect(await refusal(createSchedule(client(), request))).toMatchObject({ message: `there is a schedule called "${request.name}" already`, remedy: expect.stringContaining('--replace') as string });
    const changed = { ...request, config: { ...request.config, seed: 77 }, times: { intervals: [{ every: 6 * hourMs }] } };
    await createSchedule(client(), changed, { replace: true });
    const description = await describeSchedule(client(), request.name);
    expect(configOf(description)?.seed).toBe(77);
    expect(describeTimes(description.spec)).toBe('every 6 h 00 min');
  });
});

describe('a schedule', () => {
  it('skips a run that is due while one goes on, says what came of each, and leaves nothing new to make', () =>
    withWorkers(environment, world, async () => {
      const request = requestOf();
      const { name } = request;
      await createSchedule(client(), request);
      world.stepMs = 20;
      const first = await triggerSchedule(client(), name);
      expect(first).toMatch(new RegExp(`^saeflow/${name}-\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ$`));
      expect(await triggerSchedule(client(), name)).toBeUndefined();
      expect((await describeSchedule(client(), name)).info).toMatchObject({ numActionsTaken: 1, numActionsSkippedOverlap: 1 });
      await until(async () => (await listed(client(), `TemporalScheduledById = '${name}' AND SaeflowRun = '${name}'`)).length === 1);
      await endOf(name, 1);
      world.stepMs = 0;
      const ran = world.log.length;
      await triggerSchedule(client(), name);
      const { recent } = await endOf(name, 2);
      expect(recent).toMatchObject([
        { status: 'completed', outcome: expect.stringMatching(new RegExp(`^nothing new since run ${first} of .* UTC: every stage was found$`)) as string },
        { status: 'completed', outcome: expect.stringContaining('the first run') as string, workflowId: first },
      ]);
      expect(world.log.length).toBe(ran);
    }));

  it('pauses itself with a note when a run fails, and goes on when it is resumed', () =>
    withWorkers(environment, world, async () => {
      const request = requestOf();
      const { name } = request;
      await createSchedule(client(), request);
      world.failing.set(1, 'bad shard');
      const failed = await triggerSchedule(client(), name);
      const paused = await until(async () => {
        const description = await describeSchedule(client(), name);
        return description.state.paused && description;
      });
      expect(paused.state.note).toContain(failed);
      const [run] = await recentRuns(client(), paused, 1);
      expect(run).toMatchObject({ status: 'failed', outcome: expect.stringContaining('bad shard') as string });
      await withSchedule(client(), name, (handle) => handle.unpause('mended'));
      expect((await describeSchedule(client(), name)).state).toMatchObject({ paused: false, note: 'mended' });
      world.failing.clear();
      await triggerSchedule(client(), name);
      expect((await endOf(name, 2)).recent[0]).toMatchObject({ status: 'completed' });
    }));

  it('shows a run that waits for a person, who may not know of it', () =>
    withWorkers(environment, world, async () => {
      const request = requestOf();
      const { name } = request;
      await createSchedule(client(), { ...request, config: { ...request.config, execution: { ...request.config.execution, onShardFailure: 'park' } } });
      world.failing.set(1, 'bad shard');
      const workflowId = (await triggerSchedule(client(), name))!;
      const run = await until(async () => (await recentRuns(client(), await describeSchedule(client(), name), 1)).find(({ outcome }) => outcome !== ''));
      expect(run).toMatchObject({ status: 'running', outcome: 'waits for a decision about 1 failed shards (saeflow retry, skip or abort)' });
      await client().workflow.getHandle(workflowId).cancel();
      await endOf(name, 1);
    }));

  it('takes what was due in a past stretch of time when it is backfilled, once or one after the other', () =>
    withWorkers(environment, world, async () => {
      const request = requestOf({ times: { intervals: [{ every: hourMs }] }, paused: true });
      const { name } = request;
      await createSchedule(client(), request);
      const hour = Math.floor(Date.now() / hourMs) * hourMs;
      const [from, to] = [new Date(hour - 3 * hourMs + 1_000), new Date(hour + 1)];
      await backfillSchedule(client(), name, { from, to, overlap: ScheduleOverlapPolicy.BUFFER_ALL });
      const { recent } = await endOf(name, 3);
      const due = (hoursAgo: number) => `saeflow/${name}-${new Date(hour - hoursAgo * hourMs).toISOString().replace('.000', '')}`;
      expect(recent.map(({ workflowId, status }) => [workflowId, status])).toEqual([0, 1, 2].map((hoursAgo) => [due(hoursAgo), 'completed']));
      expect(recent.slice(0, 2).every(({ outcome }) => outcome.startsWith('nothing new since run'))).toBe(true);
    }));

  it('refuses to backfill a stretch that is empty or not past', async () => {
    const request = requestOf();
    await createSchedule(client(), request);
    const [now, before] = [new Date(), new Date(Date.now() - hourMs)];
    expect((await refusal(backfillSchedule(client(), request.name, { from: now, to: before }))).message).toContain('is not before --to');
    expect((await refusal(backfillSchedule(client(), request.name, { from: before, to: new Date(Date.now() + hourMs) }))).message).toContain('is not past');
  });

  it('is listed until it is deleted, and not among schedules of other programs', async () => {
    const request = requestOf();
    await createSchedule(client(), request);
    const foreign = `foreign-${request.name}`;
    made.push(foreign);
    await client().schedule.create({ scheduleId: foreign, spec: { intervals: [{ every: hourMs }] }, action: { type: 'startWorkflow', workflowType: 'backup', taskQueue: 'other' } });
    const names = async () => (await listSchedules(client())).map(({ scheduleId }: ScheduleDescription) => scheduleId);
    await until(async () => (await names()).includes(request.name));
    expect(await names()).not.toContain(foreign);
    expect((await refusal(describeSchedule(client(), foreign))).message).toContain('starts backup');
    await withSchedule(client(), request.name, (handle) => handle.delete());
    await until(async () => !(await names()).includes(request.name));
    expect(await refusal(withSchedule(client(), request.name, (handle) => handle.pause()))).toMatchObject({ remedy: expect.stringContaining('saeflow schedule list') as string });
  });
});
