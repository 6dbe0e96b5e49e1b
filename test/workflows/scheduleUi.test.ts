// A schedule that the command made, in Temporal's own UI: a person sees it in the list, starts a run now, watches what
// came of it, and pauses and resumes it, with a real browser on a real server.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection, ScheduleOverlapPolicy } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime } from '@temporalio/worker';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createSchedule, describeSchedule, recentRuns } from '../../cli/schedules.ts';
import { resolveInput } from '../../presets/resolve.ts';
import { cacheDirectory } from '../../setup/cache.ts';
import { resolveTemporal } from '../../setup/temporal.ts';
import { startTemporalServer, type TemporalServer } from '../../workers/temporalServer.ts';
import { TemporalUi } from '../e2e/temporalUi.ts';
import { until } from './fixtures.ts';
import { withWorkers } from './testWorkers.ts';
import { World } from './world.ts';

const limit = 300_000;
const name = 'nightly';

let folder: string;
let server: TemporalServer;
let ui: TemporalUi;
let client: Client;
let nativeConnection: NativeConnection;

beforeAll(async () => {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  folder = mkdtempSync(join(tmpdir(), 'saeflow-schedule-ui-'));
  const noProfile = { TEMPORAL_ADDRESS: undefined, TEMPORAL_PROFILE: undefined, TEMPORAL_CONFIG_FILE: undefined, HOME: folder };
  const temporal = await resolveTemporal({ ...process.env, ...noProfile, SAEFLOW_CACHE_DIR: cacheDirectory() });
  if (temporal.kind !== 'executable') throw new Error(`resolveTemporal found the address ${temporal.address}`);
  server = await startTemporalServer({ executable: temporal.path, stateDir: folder });
  client = new Client({ connection: await Connection.connect({ address: server.address }) });
  nativeConnection = await NativeConnection.connect({ address: server.address });
  ui = await TemporalUi.open(server.uiUrl);
}, limit);
afterAll(async () => {
  await ui?.close();
  await nativeConnection?.close();
  await client?.connection.close();
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
});

it(
  'a schedule is seen, triggered, paused and resumed in Temporal’s UI, and its run says there what is new',
  () =>
    withWorkers({ nativeConnection, namespace: 'default' }, new World(), async () => {
      const config = resolveInput({ preset: 'tiny', name });
      await createSchedule(client, { name, config, times: { cronExpressions: ['0 3 1 1 *'], timezone: 'Europe/Berlin' }, overlap: ScheduleOverlapPolicy.SKIP, catchUpMs: 60_000, pauseOnFailure: true, paused: false });
      const { page } = ui;
      await page.goto(`${server.uiUrl}/namespaces/default/schedules`);
      await page.getByRole('link', { name }).first().click();

      await page.getByRole('button', { name: 'Schedule Actions' }).click();
      await page.getByRole('menuitem', { name: 'Trigger' }).click();
      await page.getByRole('dialog').getByRole('button', { name: 'Trigger', exact: true }).click();
      const run = await until(async () => (await recentRuns(client, await describeSchedule(client, name), 1)).find(({ status }) => status === 'completed'));
      expect(run.outcome).toBe('the first run called nightly in this store: there is none to compare it with');
      await page.goto(`${server.uiUrl}/namespaces/default/workflows/${encodeURIComponent(run.workflowId)}`);
      await page.getByText('User Metadata').first().click();
      // Markdown is shown in a frame of its own, which may go away while it is asked
      await until(async () => (await Promise.all(page.frames().map((frame) => frame.getByText(run.outcome).count().catch(() => 0)))).some((found) => found > 0));

      await page.goto(`${server.uiUrl}/namespaces/default/schedules/${name}`);
      const isPaused = (paused: boolean) => until(async () => ((await describeSchedule(client, name)).state.paused === paused ? { paused } : undefined));
      await page.getByRole('button', { name: 'Pause', exact: true }).first().waitFor();
      await ui.keep('ui-schedule');
      await page.getByRole('button', { name: 'Pause', exact: true }).first().click();
      await page.locator('#pause-reason').fill('holidays');
      await page.getByRole('dialog').getByRole('button', { name: 'Pause', exact: true }).click();
      await isPaused(true);
      expect((await describeSchedule(client, name)).state.note).toContain('holidays');
      // A page that was read just before does not hear of it by itself.
      await page.reload();
      await page.getByRole('button', { name: 'Unpause', exact: true }).first().click();
      await page.getByRole('dialog').getByRole('textbox').fill('back');
      await page.getByRole('dialog').getByRole('button', { name: 'Unpause', exact: true }).click();
      await isPaused(false);
    }),
  limit,
);
