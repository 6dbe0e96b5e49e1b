// The table of features in a real browser: order, search, silent features, the brush, keyboard, and 131,072 rows.
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { go, openFixtureSite, type OpenSite } from './browser.ts';
import { deadFeature, germanFeature, ultraLowFeature } from './fixtureSite.ts';

/** Feature numbers of the rows in the document, in order. */
const shownFeatures = (page: Page): Promise<number[]> => page.$$eval('tr[data-feature]', (rows) => rows.map((row) => Number((row as HTMLElement).dataset['feature'])));
const statusText = (page: Page): Promise<string> => page.locator('.status').innerText();

async function search(page: Page, query: string): Promise<void> {
  await page.getByLabel('Search').fill(query);
  await page.waitForFunction((text) => decodeURIComponent(location.hash.replaceAll('+', ' ')).includes(`q=${text}`), query);
}

describe('64 features', () => {
  let site: OpenSite;
  let page: Page;
  beforeAll(async () => {
    site = await openFixtureSite();
    page = await site.open('#/');
  });
  afterAll(() => site.close());

  test('each column header sorts by click and by keyboard, and says so to a screen reader', async () => {
    const { index } = site.fixture;
    const alive = Array.from({ length: index.features }, (_, feature) => feature).filter((feature) => (index.density[feature] ?? 0) >= 1e-6);
    const by = (column: number[], sign: number): number[] => [...alive].sort((a, b) => sign * ((column[a] ?? 0) - (column[b] ?? 0)) || a - b);
    const firstRows = async (): Promise<number[]> => (await shownFeatures(page)).slice(0, 15);

    await page.getByRole('button', { name: 'Density' }).click();
    expect(await firstRows()).toEqual(by(index.density, -1).slice(0, 15));
    expect(await page.locator('th.col-density').getAttribute('aria-sort')).toBe('descending');
    await page.getByRole('button', { name: 'Density' }).press('Enter');
    expect(await firstRows()).toEqual(by(index.density, 1).slice(0, 15));
    expect(await page.locator('th.col-density').getAttribute('aria-sort')).toBe('ascending');
    await page.getByRole('button', { name: 'Max activation' }).press('Space');
    expect(await firstRows()).toEqual(by(index.maxActivation, -1).slice(0, 15));
    expect(await page.locator('th.col-density').getAttribute('aria-sort')).toBe('none');
    await page.getByRole('button', { name: 'Purity' }).click();
    expect(await firstRows()).toEqual(by(index.topLangShare.map((share, feature) => share + (index.topExamples[feature] ?? 0) * 1e-9), -1).slice(0, 15));
    await page.getByRole('button', { name: 'Language' }).click();
    const languages = await page.locator('tr[data-feature] td:nth-child(5)').allInnerTexts();
    expect(languages).toEqual([...languages].sort());
    await page.getByRole('button', { name: 'Feature' }).click();
    expect(await firstRows()).toEqual(alive.slice(0, 15));
  });

  test('search by language, token and number; Enter on a number opens the feature', async () => {
    const { index } = site.fixture;
    await search(page, 'lang:de');
    const german = (await shownFeatures(page)).map((feature) => index.topLang[feature]);
    expect(german.length).toBeGreaterThan(2);
    expect(new Set(german)).toEqual(new Set(['de']));
    await search(page, 'token:heit');
    expect(await page.locator('tr[data-feature] .chip').allInnerTexts()).toContain('heit');
    await search(page, '#12');
    expect(await shownFeatures(page)).toEqual([12]);
    await page.getByLabel('Search').press('Enter');
    await page.waitForSelector('body[data-route="feature"][data-ready]');
    expect(await page.locator('h1').innerText()).toBe('Feature 12');
    await page.goBack();
    await page.waitForSelector('body[data-route="index"][data-ready]');
    expect(await page.getByLabel('Search').inputValue()).toBe('#12');
    await go(page, '#/');
  });

  test('dead and ultra-low-density features are hidden, counted, told apart, and shown on request', async () => {
    const { index } = site.fixture;
    const dead = index.density.filter((density) => density === 0).length;
    expect(await statusText(page)).toBe(`${64 - dead - 1} of 64 features`);
    const rowOf = (feature: number) => page.locator(`tr[data-feature="${feature}"]`);
    expect([await rowOf(deadFeature).count(), await rowOf(ultraLowFeature).count()]).toEqual([0, 0]);
    await page.getByLabel(`dead (${dead})`).check();
    expect(await statusText(page)).toBe('63 of 64 features');
    expect(await rowOf(deadFeature).innerText()).toContain('dead');
    await page.getByLabel('ultra-low density (1)').check();
    expect(await statusText(page)).toBe('64 of 64 features');
    expect(await rowOf(ultraLowFeature).getAttribute('class')).toBe('ultra-low');
    await go(page, '#/');
  });

  test('a search that only dead features match offers to show them', async () => {
    await search(page, `#${deadFeature}`);
    expect(await page.locator('.notice').innerText()).toContain('Only dead or ultra-low-density features match (1).');
    await page.getByRole('button', { name: 'Show them' }).click();
    await page.waitForSelector(`tr[data-feature="${deadFeature}"]`);
    await search(page, 'nothing-like-this');
    await page.getByRole('button', { name: 'Clear filters' }).click();
    await page.waitForSelector('tr[data-feature="0"]');
  });

  test('the brush filters by density, by pointer and by keyboard', async () => {
    await go(page, '#/');
    const box = await page.locator('.brush').boundingBox();
    if (box === null) throw new Error('no brush');
    const densities = async (): Promise<number[]> => (await shownFeatures(page)).map((feature) => site.fixture.index.density[feature] ?? 0);
    // The axis runs over the seven decades from 1e-7 to 1; drag over the last two.
    await page.mouse.move(box.x + (box.width * 5) / 7, box.y + 10);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width - 1, box.y + 10, { steps: 3 });
    await page.mouse.up();
    const expected = site.fixture.index.density.filter((density) => density >= 1e-2).length;
    expect((await densities()).every((density) => density >= 1e-2)).toBe(true);
    expect(await statusText(page)).toBe(`${expected} of 64 features`);
    const high = page.getByRole('slider', { name: 'Highest density shown' });
    await high.press('PageDown');
    expect(Number(await high.getAttribute('aria-valuenow'))).toBeCloseTo(-1, 5);
    expect((await densities()).every((density) => density >= 1e-2 && density <= 1e-1)).toBe(true);
    await page.getByRole('button', { name: 'clear range' }).click();
    expect(await statusText(page)).toMatch(/^6\d of 64/);
  });

  test('arrow keys move through the rows, Enter opens, and coming back finds the row again', async () => {
    await go(page, '#/?sort=density&dir=desc');
    const grid = page.getByRole('grid', { name: 'Features' });
    await grid.focus();
    for (const key of ['Home', 'ArrowDown', 'ArrowDown', 'ArrowUp']) await grid.press(key);
    const second = (await shownFeatures(page))[1];
    expect(await page.locator('tr[aria-selected="true"]').getAttribute('data-feature')).toBe(String(second));
    expect(await grid.getAttribute('aria-activedescendant')).toBe('row-1');
    await grid.press('Enter');
    await page.waitForSelector('body[data-route="feature"][data-ready]');
    expect(await page.locator('h1').innerText()).toBe(`Feature ${second}`);
    await page.getByRole('link', { name: 'List' }).click();
    await page.waitForSelector('body[data-route="index"][data-ready]');
    expect(await page.locator('tr[aria-selected="true"]').getAttribute('data-feature')).toBe(String(second));
    expect(await grid.evaluate((element) => element === document.activeElement)).toBe(true);
  });

  test('a click anywhere on a row opens it, / goes to the search box', async () => {
    await go(page, '#/');
    await page.keyboard.press('/');
    expect(await page.getByLabel('Search').evaluate((element) => element === document.activeElement)).toBe(true);
    await page.locator(`tr[data-feature="${germanFeature}"] td:nth-child(5)`).click();
    await page.waitForSelector('body[data-route="feature"][data-ready]');
    expect(await page.locator('h1').innerText()).toBe(`Feature ${germanFeature}`);
  });

  test('no console error, and no request left this machine', () => {
    expect(site.complaints).toEqual([]);
  });
});

describe('131,072 features', () => {
  let site: OpenSite;
  beforeAll(async () => {
    site = await openFixtureSite(131_072);
  });
  afterAll(() => site.close());

  test('before the table can be used no more than 3 MB were transferred, a vocabulary of 50,257 tokens included', async () => {
    const started = performance.now();
    const page = await site.open('about:blank');
    const bytes = new Map<string, number>();
    page.on('response', (response) => bytes.set(response.url().replace(site.url, ''), Number(response.headers()['content-length'] ?? Number.NaN)));
    const opened = performance.now();
    await page.goto(site.url);
    await page.waitForSelector('body[data-ready="true"] tr[data-feature="0"]');
    const seconds = (performance.now() - opened) / 1000;
    const before = [...bytes].filter(([file]) => !/(ablation|lossShare|probe|probeF1)\.bin$/.test(file));
    const total = before.reduce((sum, [, size]) => sum + size, 0);
    console.log(`131,072 features: ${(total / 1e6).toFixed(2)} MB and ${seconds.toFixed(2)} s until the rows are there (${((opened - started) / 1000).toFixed(1)} s to open a tab)`);
    expect(before.map(([file]) => file)).toEqual(expect.arrayContaining(['', 'app.js', 'data/columns/density.bin', 'data/vocabulary.json']));
    expect(bytes.has('data/index.json')).toBe(false);
    expect(total).toBeLessThanOrEqual(3e6);
    expect(site.fixture.vocabulary.tokens.length).toBeGreaterThanOrEqual(50_257);
    await page.close();
  });

  test('a column that comes later sorts the table all the same', async () => {
    const page = await site.open('#/?sort=loss&dir=desc');
    const { lossShare, density } = site.fixture.index;
    const best = Array.from({ length: density.length }, (_, feature) => feature).filter((feature) => density[feature]! >= 1e-6).sort((a, b) => Math.fround(lossShare[b]!) - Math.fround(lossShare[a]!) || a - b);
    expect((await shownFeatures(page)).slice(0, 10)).toEqual(best.slice(0, 10));
    await page.close();
  });

  test('few rows are in the document, and the last feature can be reached by scrolling and by keyboard', async () => {
    const page = await site.open('#/?dead=1&ultralow=1');
    const grid = page.getByRole('grid', { name: 'Features' });
    expect(await grid.getAttribute('aria-rowcount')).toBe('131073');
    expect((await shownFeatures(page)).length).toBeLessThan(100);
    await page.locator('.scroller').evaluate((element) => (element.scrollTop = element.scrollHeight / 2));
    await page.waitForSelector('tr[data-feature="65540"]');
    expect((await shownFeatures(page)).length).toBeLessThan(100);
    await grid.focus();
    await grid.press('End');
    const last = page.locator('tr[data-feature="131071"]');
    await last.waitFor();
    const [row, view] = await Promise.all([last.boundingBox(), page.locator('.scroller').boundingBox()]);
    expect((row?.y ?? 0) + (row?.height ?? 0)).toBeLessThanOrEqual((view?.y ?? 0) + (view?.height ?? 0) + 1);
    expect(await last.getAttribute('aria-rowindex')).toBe('131073');
    expect((await shownFeatures(page)).length).toBeLessThan(100);
    expect(site.complaints).toEqual([]);
    await page.close();
  });
});
