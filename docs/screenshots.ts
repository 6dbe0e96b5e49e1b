// Makes all pictures of README and docs/ with one command, `npm run screenshots`, after `npm run demo`. From the newest run
// of this folder: Temporal's timeline, and the dashboard's pages and the feature pages of a few languages. Of
// Temporal's UI: by the tests that drive it, on a server of their own, as they go.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium, type Page } from 'playwright-core';
import { openStore } from '../data/artifactStore.ts';
import { findReport } from '../cli/reports.ts';
import { requireTemporal, workflowUrl } from '../cli/connection.ts';
import { sitePath } from '../cli/site.ts';
import { storeUri } from '../cli/state.ts';
import { serveSite } from '../dashboard/serve.ts';
import { storeSource } from '../dashboard/storeSource.ts';
import { featureIndex } from '../schemas/dashboard.ts';
import { findBrowser } from '../setup/browser.ts';

const folder = fileURLToPath(new URL('images/', import.meta.url));
const languages = ['de', 'ja'];

await mkdir(folder, { recursive: true });
const uri = storeUri();
const { report } = await findReport(uri);
const server = await serveSite(storeSource(openStore(uri), sitePath(report)));
const browser = await chromium.launch({ executablePath: findBrowser(), args: ['--no-sandbox', '--disable-gpu', '--headless=new', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'] });
try {
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 }, deviceScaleFactor: 1 });
  await shootDashboard(page);
  await shootTimeline(page);
} finally {
  await browser.close();
  await server.close();
}
process.exitCode = await shootTemporalUi();

async function shootDashboard(page: Page): Promise<void> {
  const index = featureIndex.parse(JSON.parse(Buffer.from(await openStore(uri).get(`${sitePath(report)}/data/index.json`)).toString()));
  const views: [string, string][] = [['index', '#/'], ['run', '#/run'], ['map', '#/map'], ['probes', '#/probes'], ['texts', '#/texts'], ['own', '#/own']];
  for (const lang of languages) {
    const pure = index.topLang.flatMap((top, feature) => (top === lang && index.topLangShare[feature] === 1 ? [feature] : []));
    const feature = pure.sort((a, b) => index.density[b]! - index.density[a]!)[0];
    if (feature !== undefined) views.push([`feature-${lang}`, `#/feature/${feature}`]);
  }
  for (const [name, route] of views) {
    await page.goto('about:blank');
    await page.goto(`${server.url}${route}`);
    await page.waitForSelector('body[data-ready="true"]');
    if (name === 'own') await page.waitForSelector('.own-result:not([hidden]) .token');
    await save(page, name);
  }
}

/** The SAE's training, where segments and resamplings alternate. */
async function shootTimeline(page: Page): Promise<void> {
  const { key } = report.stages.find(({ name }) => name === 'trainSae')!;
  const temporal = await requireTemporal();
  try {
    const url = workflowUrl(temporal, `saeflow/trainSae/${key.slice(0, 12)}`);
    if (url === undefined) return;
    await page.setViewportSize({ width: 1440, height: 1300 });
    await page.goto(url);
    await page.waitForLoadState('networkidle');
    await page.waitForTimeout(3_000);
    const heading = await page.getByRole('heading', { name: 'Event History' }).boundingBox();
    await save(page, 'timeline', heading === null ? undefined : { x: 64, y: heading.y - 10, width: 1376, height: 1300 - heading.y });
  } finally {
    await temporal.close();
  }
}

/** Runs the tests that keep pictures as they go; returns their exit code. */
async function shootTemporalUi(): Promise<number> {
  const vitest = join(dirname(createRequire(import.meta.url).resolve('vitest/package.json')), 'vitest.mjs');
  const tests = ['test/e2e/ui.test.ts', 'test/workflows/scheduleUi.test.ts'];
  const child = spawn(process.execPath, [vitest, 'run', ...tests], { cwd: join(folder, '../..'), env: { ...process.env, SAEFLOW_SCREENSHOTS: folder }, stdio: 'inherit' });
  const [code] = (await once(child, 'close')) as [number | null];
  return code ?? 1;
}

async function save(page: Page, name: string, clip?: { x: number; y: number; width: number; height: number }): Promise<void> {
  const path = `${folder}${name}.png`;
  await page.screenshot(clip === undefined ? { path } : { path, clip });
  console.log(path);
}
