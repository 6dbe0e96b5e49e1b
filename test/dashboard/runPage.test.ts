// The run's page, themes, small screens, and what the reader sees when data is missing, in a real browser.
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { serveSite } from '../../dashboard/serve.ts';
import { go, openFixtureSite, ready, type OpenSite } from './browser.ts';

let site: OpenSite;
let page: Page;
beforeAll(async () => {
  site = await openFixtureSite();
  page = await site.open('#/run');
});
afterAll(() => site.close());

const cells = (caption: string): Promise<string[][]> =>
  page.locator('table', { has: page.locator('caption', { hasText: caption }) }).evaluate((table) => [...(table as HTMLTableElement).tBodies[0]!.rows].map((row) => [...row.cells].map((cell) => cell.innerText)));

test('all four losses stand beside the recovered share and its token count', async () => {
  expect(await cells('Loss on held-out tokens')).toEqual([
    ['clean', '4.2412', '–'],
    ['reconstructed', '4.2575', '+0.0163'],
    ['mean-ablated', '6.1102', '+1.8690'],
    ['zero-ablated', '5.2214', '+0.9802'],
    ['unigram model', '6.0631', ''],
  ]);
  const { tokens } = site.fixture.run;
  expect(await page.locator('main').innerText()).toContain(`98.34% over ${tokens.toLocaleString('en-US')} tokens.`);
});

test('the tables hold the numbers of run.json', async () => {
  const { sae } = site.fixture.run;
  expect(await cells('Sparse autoencoder')).toEqual([
    ['L0: features active on a token', '15.83'],
    ['L1: sum of activations', '21.40'],
    ['Mean squared error', '0.01230'],
    ['Fraction of variance unexplained', '0.08710'],
    ['Alive features', `${sae.alive} (${Math.round((sae.alive / 64) * 100)}%)`],
    ['Ultra-low density', '1 (2%)'],
    ['Dead: never fired', `${sae.dead} (${Math.round((sae.dead / 64) * 100)}%)`],
  ]);
  expect(await cells('Transformer')).toEqual([['Validation loss', '4.2412'], ['Unigram loss', '6.0631'], ['Parameters', '1,245,184']]);
  expect(await cells('Resamplings')).toEqual([['1,250', '27', '27'], ['2,500', '4', '4']]);
});

test('each curve is drawn and put in words, resampling marked on the autoencoder’s', async () => {
  const charts = page.locator('.chart');
  expect(await charts.count()).toBe(5);
  expect(await page.locator('.chart canvas').evaluateAll((list) => list.map((canvas) => new Set((canvas as HTMLCanvasElement).getContext('2d')!.getImageData(0, 0, 300, 300).data).size > 4))).toEqual([true, true, true, true, true]);
  expect(await charts.nth(1).getAttribute('aria-label')).toMatch(/^L0 in features: from 29\d\.\d at step 0 to 1\d\.\d+ at step 4,975$/);
  expect(await page.locator('.curve', { hasText: 'resampling of dead features' }).count()).toBe(3);
});

test('the lineage opens to the configuration, as text', async () => {
  const first = page.locator('details.stage').first();
  await first.locator('summary').click();
  expect(await first.innerText()).toContain('tokenize');
  expect(await first.locator('pre').innerText()).toContain('"note": "<b>not markup</b>"');
});

test('the theme follows the system, the button turns it over, and the choice is kept', async () => {
  const dark = await site.open('#/', { colorScheme: 'dark' });
  const background = (): Promise<string> => dark.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const night = await background();
  expect(night).toBe('rgb(21, 23, 26)');
  await dark.getByRole('button', { name: 'Use the light theme' }).click();
  expect(await background()).toBe('rgb(251, 251, 250)');
  await dark.reload();
  await ready(dark);
  expect(await background()).toBe('rgb(251, 251, 250)');
  await dark.getByRole('button', { name: 'Use the dark theme' }).click();
  expect(await background()).toBe(night);
  await dark.context().close();
});

test('nothing is wider than a screen of 360 pixels', async () => {
  const phone = await site.open('#/', { viewport: { width: 360, height: 740 } });
  for (const hash of ['#/', '#/feature/0', '#/feature/2', '#/compare/0/2', '#/map', '#/probes', '#/run']) {
    await go(phone, hash);
    expect({ hash, width: await phone.evaluate(() => document.documentElement.scrollWidth) }).toEqual({ hash, width: 360 });
  }
  await phone.context().close();
});

test('a page that does not exist and a feature beyond the last say so', async () => {
  await go(page, '#/feature/64');
  expect(await page.getByRole('alert').innerText()).toContain('There is no feature 64: this run has features 0 to 63');
  await go(page, '#/nonsense');
  expect(await page.getByRole('alert').innerText()).toContain('There is no page #/nonsense');
});

test('no console error so far, and no request left this machine', () => {
  expect(site.complaints).toEqual([]);
});

test('missing and broken files are named, with a remedy; the table does without the run’s summary', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'saeflow-broken-'));
  await cp(site.folder, folder, { recursive: true });
  const broken = await serveSite(folder);
  const alert = page.getByRole('alert');
  await rm(join(folder, 'data', 'run.json'));
  await page.goto(`${broken.url}#/run`);
  await ready(page);
  expect(await alert.innerText()).toContain('data/run.json: 404 Not Found');
  expect(await alert.innerText()).toContain('run the exportDashboard stage again');
  await go(page, '#/');
  expect(await page.locator('.notice').first().innerText()).toContain('data/run.json: 404');
  expect(await page.locator('tr[data-feature]').count()).toBeGreaterThan(10);
  await writeFile(join(folder, 'data', 'columns', 'density.bin'), new Float32Array(63));
  await page.reload();
  await ready(page);
  expect(await alert.innerText()).toContain('data/columns/density.bin: 252 bytes are not 64 numbers (float32)');
  await writeFile(join(folder, 'data', 'columns', 'header.json'), '{"feat');
  await page.reload();
  await ready(page);
  expect(await alert.innerText()).toContain('data/columns/header.json: not JSON');
  await broken.close();
  await rm(folder, { recursive: true });
});

test('the site works from any folder of a host', async () => {
  const host = await mkdtemp(join(tmpdir(), 'saeflow-host-'));
  await writeFile(join(host, 'index.html'), 'host');
  await cp(site.folder, join(host, 'runs', 'first'), { recursive: true });
  const server = await serveSite(host);
  await page.goto(`${server.url}runs/first/#/feature/0`);
  await ready(page);
  expect(await page.locator('h1').innerText()).toBe('Feature 0');
  expect(await page.locator('.example').count()).toBeGreaterThan(20);
  await server.close();
  await rm(host, { recursive: true });
});

test('opened from disk, the page says how to open it instead', async () => {
  await page.goto(`file://${join(site.folder, 'index.html')}`);
  await ready(page);
  expect(await page.getByRole('alert').innerText()).toContain('Open the dashboard with `saeflow open`');
});
