// The pages of example texts and of the reader's own text in a real browser, on a model that was trained for it, from a
// host with a strict content security policy in a sub-path.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { featureIndex, featureLabels, probesPage } from '../../schemas/dashboard.ts';
import { launchBrowser, ready } from './browser.ts';
import { copySite, makeTrainedSite, type TrainedSite } from './trainedSite.ts';
import { serveStrictly, type StrictServer } from './strictServer.ts';

let folder: string;
let site: TrainedSite;
let server: StrictServer;
let browser: Browser;
const complaints: string[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'saeflow-own-page-'));
  site = await makeTrainedSite();
  await copySite(site, folder);
  server = await serveStrictly(folder);
  browser = await launchBrowser();
});
afterAll(async () => {
  await browser.close();
  await server.close();
  await site.inputs.remove();
  await rm(folder, { recursive: true, force: true });
});

async function open(hash: string, width = 1280): Promise<Page> {
  const page = await browser.newPage({ viewport: { width, height: 800 } });
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('request', (request) => {
    if (!request.url().startsWith(server.url) && !request.url().startsWith('data:')) complaints.push(`request: ${request.url()}`);
  });
  await page.goto(server.url + hash);
  await ready(page);
  return page;
}

const firing = (page: Page, list: number) =>
  page.locator('.firing-list').nth(list).locator('li').evaluateAll((items) => items.map((item) => Number(item.querySelector('a')?.textContent?.slice(1))));
const shades = (page: Page) => page.locator('.token-pane .token').evaluateAll((spans) => spans.map((span) => Number((span as HTMLElement).style.getPropertyValue('--share'))));

describe('example texts', () => {
  it('are of several kinds, and each shows the features at its tokens as the job wrote them', async () => {
    expect(site.list).toHaveLength(25);
    expect(new Set(site.list.map(({ lang, source }) => `${lang} ${source}`)).size).toBeGreaterThan(2);
    const page = await open('#/texts/3');
    expect(await page.locator('.text-list li').count()).toBe(25);
    const { features } = site.pages[3]!;
    await page.locator('.token-pane [aria-selected="true"]').focus();
    expect(await firing(page, 0)).toEqual(features[1]!.slice(0, 12));
    await page.keyboard.press('ArrowLeft');
    expect(await firing(page, 0)).toEqual(features[0]!.slice(0, 12));
    await page.close();
  });

  it.each([
    ['en-GB', 4],
    ['enx', 0],
  ])('begin with the first in English, where one is (%s: text %i), and the address keeps the choice', async (lang, first) => {
    const file = join(folder, 'data/texts/index.json');
    await writeFile(file, JSON.stringify(site.list.map((entry, number) => (number === 4 || number === 6 ? { ...entry, lang } : entry))));
    const page = await open('#/texts');
    await writeFile(file, JSON.stringify(site.list));
    const current = page.locator('.text-list [aria-current]');
    expect([await current.getAttribute('href'), new URL(page.url()).hash]).toEqual([`#/texts/${first}`, `#/texts/${first}`]);
    await page.locator('.text-list a').nth(2).click();
    await page.waitForURL(/#\/texts\/2$/);
    await page.getByRole('link', { name: 'Run', exact: true }).click();
    await page.waitForSelector('body[data-route="run"][data-ready]');
    await page.getByRole('link', { name: 'Texts', exact: true }).click();
    await page.waitForURL(/#\/texts\/2$/);
    await page.reload();
    await ready(page);
    expect(await current.getAttribute('href')).toBe('#/texts/2');
    await page.close();
  });

  it('are coloured by the feature that is picked, which the address keeps', async () => {
    const page = await open('#/texts/0');
    const second = (await firing(page, 1))[1]!;
    await page.locator('.firing-list').nth(1).getByRole('button', { name: new RegExp(`^Colour by feature ${second}\\b`) }).click();
    expect(new URL(page.url()).hash).toBe(`#/texts/0?feature=${second}`);
    const { features, tokens } = site.pages[0]!;
    expect((await shades(page)).map((share) => share > 0)).toEqual(tokens.map((_, position) => features[position]!.includes(second)));
    await page.getByLabel('Colour by feature', { exact: true }).fill('5');
    await page.keyboard.press('Enter');
    expect((await shades(page)).map((share) => share > 0)).toEqual(tokens.map((_, position) => features[position]!.includes(5)));
    await page.locator('.text-list a').nth(1).click();
    await page.waitForURL(/#\/texts\/1\?feature=5$/);
    await page.close();
  });

  it('say of each feature in words what is known of it: its label, else the probe it answers, else its language', async () => {
    const json = async (name: string): Promise<unknown> => JSON.parse(await readFile(join(folder, 'data', name), 'utf8'));
    const [index, probes] = [featureIndex.parse(await json('index.json')), probesPage.parse(await json('probes.json'))];
    const shown = (feature: number) => site.pages[3]!.features[1]!.slice(0, 12).includes(feature);
    const labelled = site.pages[3]!.features[1]![0]!;
    const [probed, neither] = index.topLang.flatMap((lang, feature) => (lang !== '' && feature !== labelled && shown(feature) ? [feature] : [])) as [number, number];
    // so short a run has too few tokens for any feature to answer a probe: one does now, the first of them
    await writeFile(join(folder, 'data/columns/probe.bin'), Uint8Array.from(index.probe, (_, feature) => (feature === probed ? 1 : 0)));
    await writeFile(join(folder, 'data/labels.json'), JSON.stringify(featureLabels.parse({ model: 'm', labels: [{ feature: labelled, text: `what <b>${labelled}</b> is about${', and so on'.repeat(30)}`, spearman: null, detection: null }] })));
    const page = await open(`#/texts/3?feature=${labelled}`);
    const words = (feature: number) => page.locator(`.firing-list >> nth=0 >> button[data-feature="${feature}"] .about`).innerText();
    expect(await words(labelled)).toContain(`what <b>${labelled}</b> is about`);
    expect(await page.locator('.picker .about').innerText()).toContain(`what <b>${labelled}</b> is about`);
    expect(await words(probed)).toContain(probes[0]!.name);
    expect((await words(neither)).endsWith(index.topLang[neither]!)).toBe(true);
    for (const width of [1280, 800, 360]) {
      await page.setViewportSize({ width, height: 800 });
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
    }
    await page.goto(`${server.url}#/own?backend=wasm`);
    await page.getByLabel('Colour by feature', { exact: true }).fill(String(labelled));
    await page.keyboard.press('Enter');
    await expect.poll(() => page.locator('.picker .about').innerText()).toContain(`what <b>${labelled}</b> is about`);
    await page.close();
    await copySite(site, folder);
  });

  it('say what is wrong with an address that names none', async () => {
    const page = await open('#/texts/99');
    expect(await page.getByRole('alert').textContent()).toContain('There is no example text 99');
    await page.close();
  });
});

describe('the own text', () => {
  const read = (page: Page) => page.waitForFunction(() => /\d ms on/.test(document.querySelector('.own-status')?.textContent ?? ''));

  it('is read on WebAssembly where there is no GPU, which is said, and is changed by the slider', async () => {
    const page = await open('#/own');
    await read(page);
    expect(await page.locator('.notice:not(.error)').textContent()).toMatch(/WebGPU: .*WebGL: .*So the model runs on WebAssembly\./);
    await page.locator('.next-tokens tbody tr').first().waitFor();
    const bars = () => page.locator('.next-tokens tbody tr').evaluateAll((rows) => rows.map((row) => [...row.querySelectorAll('.value')].map((value) => value.textContent)));
    expect((await bars()).every(([before, after]) => before === after)).toBe(true);
    const cursor = page.locator('.token-pane [aria-selected="true"]');
    await cursor.focus();
    await page.keyboard.press('Home');
    await page.keyboard.press('ArrowRight');
    await page.locator('.firing-list').first().getByRole('button').first().click();
    await page.getByRole('slider').focus();
    await page.keyboard.press('End');
    await page.waitForFunction(() => [...document.querySelectorAll('.next-tokens tbody tr')].some((row) => row.querySelector('.after.raised, .after.lowered') !== null));
    expect(await page.locator('.next-panel output').textContent()).toBe('5.0');
    expect(await page.locator('.next-panel [role="status"]').textContent()).toMatch(/What follows is .* → .*nats/);
    await page.getByRole('button', { name: 'As it is' }).click();
    await page.waitForFunction(() => document.querySelector('.after.raised, .after.lowered') === null);
    await page.close();
  });

  it('is shown as text whatever is in it, and a long one is cut with a note', async () => {
    const page = await open('#/own?backend=wasm');
    await read(page);
    await page.getByLabel('Text', { exact: true }).fill('<img src=x onerror=alert(1)> \u202e\u0000');
    await page.waitForFunction(() => document.querySelector('.token-pane')?.textContent?.includes('‹U+202E›'));
    expect(await page.locator('.token-pane').textContent()).toContain('<img src=x onerror=alert(1)>');
    expect(await page.locator('.token-pane img').count()).toBe(0);
    await page.getByLabel('Text', { exact: true }).fill('word '.repeat(60));
    await page.waitForFunction(() => document.querySelector('.own-status')?.textContent?.includes('left out'));
    expect(await page.locator('.own-status').textContent()).toContain("beyond the model's context of 32 left out");
    await page.getByLabel('Text', { exact: true }).fill('');
    await page.waitForFunction(() => document.querySelector('.own-status')?.textContent?.startsWith('0 tokens'));
    await page.close();
  });

  it('fetches the model once: a second visit takes it from the browser', async () => {
    const context = await browser.newContext();
    const fetched: number[] = [];
    for (const visit of [1, 2]) {
      const page = await context.newPage();
      server.requests.length = 0;
      await page.goto(`${server.url}#/own?visit=${visit}`);
      await read(page);
      fetched.push(server.requests.filter((path) => path.endsWith('.safetensors')).length);
      await page.close();
    }
    await context.close();
    expect(fetched).toEqual([2, 0]);
  });

  it('fits a phone', async () => {
    const page = await open('#/own?backend=wasm', 360);
    await read(page);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);
    await page.goto(`${server.url}#/texts/2`);
    await ready(page);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);
    await page.close();
  });
});

it('nothing was refused, thrown or fetched from elsewhere', () => {
  expect(complaints).toEqual([]);
});
