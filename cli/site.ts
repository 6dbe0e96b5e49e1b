// Where a run's dashboard is in its store, and a server for it that may outlive the command: pages in a browser need a
// server, since browsers refuse to read data from file://.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { UserError } from '../schemas/errors.ts';
import type { Report } from '../schemas/report.ts';
import { isAlive } from '../setup/lock.ts';
import { endProcess, logEnd, startModule } from './processes.ts';
import { makeStateFolder, registered, unregister } from './state.ts';

const startLimitMs = 30_000;
const endLimitMs = 5_000;

/**
 * The path of a run's dashboard in its store.
 *
 * @param sae name of the SAE; default: the first.
 * @throws UserError when the run has no SAE of that name.
 */
export function sitePath({ dashboards, run }: Report, sae?: string): string {
  const dashboard = dashboards.find((candidate) => sae === undefined || candidate.sae === sae);
  if (dashboard === undefined) throw new UserError(`run ${run} has no SAE called "${String(sae)}"`, `Use one of: ${dashboards.map((candidate) => candidate.sae).join(', ')}.`);
  return dashboard.site;
}

/**
 * The address of a server for the dashboard that goes on after this command: the one that runs already, or a new one.
 *
 * @throws UserError when it does not start, with the end of its log.
 */
export async function keepServing(storeUri: string, site: string, port?: number): Promise<string> {
  const folder = `${storeUri}/${site}`;
  const running = registered('dashboard');
  if (running?.folder === folder && running.url !== undefined) return running.url;
  if (running !== undefined) await endProcess(running.pid, endLimitMs);
  const logFile = join(makeStateFolder(), 'logs', 'dashboard.log');
  const child = startModule('cli/main.ts', ['serve', storeUri, site, ...(port === undefined ? [] : ['--port', String(port)])], { env: process.env, logFile });
  const deadline = Date.now() + startLimitMs;
  while (child.pid !== undefined && isAlive(child.pid) && child.exitCode === null && Date.now() < deadline) {
    const now = registered('dashboard');
    if (now?.pid === child.pid && now.url !== undefined) return now.url;
    await sleep(100);
  }
  throw new UserError(`the dashboard's server did not start:\n${logEnd(logFile, { lines: 3 })}`, `Open the dashboard with: npx saeflow open`);
}

/** Ends the server that was kept; true when there was one. */
export async function stopServing(): Promise<boolean> {
  const running = registered('dashboard');
  if (running === undefined) return false;
  await endProcess(running.pid, endLimitMs);
  unregister('dashboard', running.pid);
  return true;
}
