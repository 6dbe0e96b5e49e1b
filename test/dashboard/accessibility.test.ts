// axe-core, whole, on every view in both themes, in Chromium; and that every view can be used without a pointer.
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openFixtureSite, openTrainedSite, ready, type OpenSite, type ServedSite } from './browser.ts';
import { deadFeature, hebrewFeature } from './fixtureSite.ts';

interface AxeResults {
  violations: { id: string; nodes: { html: string; failureSummary?: string }[] }[];
  passes: unknown[];
}

const views = ['#/', '#/?dead=1&ultralow=1&sort=probe&dir=desc', '#/?q=nothing-like-this', '#/feature/0', `#/feature/${deadFeature}`, `#/feature/${hebrewFeature}`, '#/compare/0/2', '#/map', '#/probes', '#/run', '#/nonsense'];
/** Those that show a model and what it makes of texts. */
const modelViews = ['#/texts', '#/texts/2?feature=5', '#/own?backend=wasm', '#/own?backend=wasm&feature=5'];
let site: OpenSite;
let trained: ServedSite;
let axe: string;
beforeAll(async () => {
  site = await openFixtureSite();
  trained = await openTrainedSite();
  axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
});
afterAll(async () => {
  await site.close();
  await trained.close();
});

/** By the debugger's own evaluation, which the page's content security policy does not bind. */
async function violations(page: Page): Promise<string[]> {
  await page.evaluate(axe);
  const results = (await page.evaluate('axe.run(document, { resultTypes: ["violations"] })')) as AxeResults;
  expect(results.passes.length).toBeGreaterThan(10);
  return results.violations.flatMap(({ id, nodes }) => nodes.slice(0, 3).map(({ html, failureSummary }) => `${id}: ${html.slice(0, 160)} ${failureSummary ?? ''}`));
}

const screens = [
  { colorScheme: 'light', width: 1280 },
  { colorScheme: 'dark', width: 1280 },
  { colorScheme: 'light', width: 360 },
] as const;

test.each(views.flatMap((hash) => screens.map((screen) => ({ hash, ...screen }))))('axe finds nothing on $hash, $colorScheme, $width pixels wide', async ({ hash, colorScheme, width }) => {
  const page = await site.open(hash, { colorScheme, viewport: { width, height: 800 } });
  expect(await violations(page)).toEqual([]);
  await page.context().close();
});

test.each(modelViews.flatMap((hash) => screens.map((screen) => ({ hash, ...screen }))))('axe finds nothing on $hash, $colorScheme, $width pixels wide', async ({ hash, colorScheme, width }) => {
  const page = await trained.open(hash, { colorScheme, viewport: { width, height: 800 } });
  if (hash.startsWith('#/own')) await page.locator('.next-tokens tbody tr').first().waitFor();
  expect(await violations(page)).toEqual([]);
  await page.context().close();
});

test('axe does find what is wrong', async () => {
  const page = await site.open('#/run');
  await page.evaluate(() => document.querySelector('main')?.append(document.createElement('img'), document.createElement('button')));
  expect((await violations(page)).map((violation) => violation.split(':')[0])).toEqual(expect.arrayContaining(['image-alt', 'button-name']));
  await page.close();
});

test('the map is walked by arrow keys, says where it is, and Enter opens the feature', async () => {
  const page = await site.open('#/map');
  await page.getByRole('application').focus();
  await page.keyboard.press('ArrowRight');
  const first = await page.locator('#map-point b').innerText();
  await page.keyboard.press('ArrowLeft');
  const second = await page.locator('#map-point b').innerText();
  expect(second).not.toBe(first);
  for (const key of ['+', '+', '-', '0']) await page.keyboard.press(key);
  await page.evaluate(() => delete document.body.dataset['ready']);
  await page.keyboard.press('Enter');
  await ready(page);
  expect(await page.locator('h1').innerText()).toContain(`Feature ${second}`);
  await page.close();
});
