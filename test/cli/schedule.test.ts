// `saeflow schedule` from a person's chair: made, seen, paused and deleted by the real command on a real server, and what
// is typed wrong is refused before the server hears of it.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { configOf, describeSchedule } from '../../cli/schedules.ts';
import { startTemporal } from '../workflows/temporalEnvironment.ts';
import { runCli } from './runCli.ts';

// Each command is a process of its own, and machines may be busy.
const limit = 300_000;

let folder: string;
let environment: TestWorkflowEnvironment;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'saeflow-schedule-'));
  environment = await startTemporal();
}, 600_000);
afterAll(async () => {
  await environment?.teardown();
  rmSync(folder, { recursive: true, force: true });
});

async function run(exitCode: number, ...args: string[]): Promise<string> {
  const result = await runCli(folder, ['schedule', ...args], { TEMPORAL_ADDRESS: environment.address, TEMPORAL_NAMESPACE: environment.namespace ?? 'default' });
  expect(result.exitCode, result.stdout + result.stderr).toBe(exitCode);
  expect(result.stderr).not.toMatch(/\n\s+at /); // no stack
  return exitCode === 0 ? result.stdout : result.stderr;
}

describe('saeflow schedule', () => {
  it('makes a schedule, shows when it is due, lists, pauses, resumes and deletes it', async () => {
    const created = await run(0, 'create', 'nightly', 'tiny', '--corpus', 'texts/*.jsonl', '--set', 'seed=7', '--cron', '0 3 * * *', '--time-zone', 'Europe/Berlin', '--note', 'fresh texts');
    expect(created).toMatch(/schedule +nightly: active \(fresh texts\)/);
    expect(created).toMatch(/due +0 3 \* \* \* \(Europe\/Berlin\)/);
    expect(created.match(/\w{3} \d{4}-\d\d-\d\d 03:00 \S+/g)).toHaveLength(5);
    expect(created).toMatch(/policy +overlap skip, catch-up window 24 h 00 min, pauses itself when a run fails/);
    const config = configOf(await describeSchedule(environment.client, 'nightly'));
    expect(config).toMatchObject({ name: 'nightly', seed: 7, corpus: { paths: [join(folder, 'texts/*.jsonl')] }, execution: { onShardFailure: 'park' } });

    expect(await run(1, 'create', 'nightly', 'tiny', '--every', '6h')).toContain('there is a schedule called "nightly" already\n         Add --replace');
    await run(0, 'pause', 'nightly', '--note', 'holidays');
    expect(await run(0, 'show', 'nightly')).toMatch(/schedule +nightly: paused \(holidays\)[^]*would be +\w{3} \d{4}[^]*last runs +none yet/);
    expect(await run(0, 'list')).toMatch(/^schedule +state +due +next +last run\nnightly +paused \(holidays\) +0 3 \* \* \* \(Europe\/Berlin\) +none yet\n$/);
    expect(await run(0, 'resume', 'nightly')).toMatch(/^nightly goes on; next \w{3} /);
    expect(await run(0, 'delete', 'nightly')).toContain('deleted nightly');
    expect(await run(1, 'show', 'nightly')).toContain('no schedule is called "nightly"');
  }, limit);

  it('takes a configuration file, and the name it gives the runs', async () => {
    writeFileSync(join(folder, 'mine.json'), JSON.stringify({ preset: 'tiny', name: 'essays', seed: 3 }));
    await run(0, 'create', 'weekly', 'mine.json', '--calendar', '{"dayOfWeek": "SUNDAY", "hour": 3}', '--start-paused', '--no-pause-on-failure', '--overlap', 'buffer-one', '--jitter', '10m', '--catch-up-window', '2d');
    const description = await describeSchedule(environment.client, 'weekly');
    expect(configOf(description)).toMatchObject({ name: 'essays', seed: 3 });
    expect(description).toMatchObject({ state: { paused: true }, policies: { overlap: 'BUFFER_ONE', pauseOnFailure: false, catchupWindow: 172_800_000 }, spec: { jitter: 600_000 } });
    await run(0, 'delete', 'weekly');
  }, limit);

  it('refuses a wrong cron expression in the server’s own words, and creates nothing', async () => {
    expect(await run(1, 'create', 'wrong', 'tiny', '--cron', '0 25 * * *')).toContain('saeflow: --cron "0 25 * * *": Hour is not in range [0-23]\n         Nothing was created.');
    expect(await run(1, 'show', 'wrong')).toContain('no schedule is called "wrong"');
  }, limit);

  it('refuses other mistakes by option and value, with what to give', async () => {
    expect(await run(1, 'create', 'none', 'tiny')).toContain('schedule none: no times');
    expect(await run(1, 'create', 'none', 'tiny', '--every', 'hourly')).toMatch(/'--every <duration>' argument 'hourly' is invalid\. Give a duration such as 6h/);
    expect(await run(1, 'create', 'none', 'tiny', '--every', '6h', '--time-zone', 'Europe/Berlin')).toContain('--time-zone Europe/Berlin: intervals count from midnight UTC');
    expect(await run(1, 'create', 'none', 'huge', '--every', '6h')).toContain('no preset is called "huge"');
    expect(await run(1, 'create', 'none', 'tiny', '--every', '6h', '--set', 'seed=two')).toContain('seed: ');
    expect(await run(1, 'create', 'No Name', 'tiny', '--every', '6h')).toContain('lower-case letters');
    expect(await run(1, 'backfill', 'none', '--from', 'monday', '--to', '2026-01-02')).toContain("'--from <time>' argument 'monday' is invalid");
    expect(await run(1, 'trigger', 'none')).toContain('no schedule is called "none"');
  }, limit);

  it('has examples in its help', async () => {
    expect(await run(0, '--help')).toContain('$ saeflow schedule create nightly small');
    expect(await run(0, 'create', '--help')).toContain('(default: skip)');
  }, limit);
});
