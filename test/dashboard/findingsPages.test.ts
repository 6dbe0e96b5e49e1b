// What is found about features, in a real browser: probes with their evidence, two features side by side, the map, and
// the reader's own stars and comments.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { go, openFixtureSite, ready, type OpenSite } from './browser.ts';
import { germanFeature } from './fixtureSite.ts';

let site: OpenSite;
let page: Page;
beforeAll(async () => {
  site = await openFixtureSite();
  page = await site.open('#/probes');
});
afterAll(() => site.close());

describe('probes', () => {
  test('each has its best feature, scores, support and examples; too little support is said', async () => {
    await go(page, '#/probes');
    const { probes } = site.fixture;
    expect(await page.locator('.probe h2').allInnerTexts()).toEqual(probes.map(({ name }) => name));
    const german = page.locator('.probe').first();
    const [best] = probes[0]!.answers;
    expect(await german.locator('tbody tr').first().locator('th, td').allInnerTexts()).toEqual([`${best!.feature}`, best!.f1.toFixed(3), `${Math.round(best!.precision * 100)}%`, `${Math.round(best!.recall * 100)}%`, best!.auroc.toFixed(3), '100%', '0']);
    expect(best!.feature).toBe(germanFeature);
    await german.locator('.example').first().waitFor();
    expect(await german.locator('.example').count()).toBe(3);
    const latex = page.locator('.probe').last();
    expect(await latex.innerText()).toContain('too little support');
    expect(await latex.innerText()).toContain('0 tokens satisfy it where features are judged');
    expect(await page.locator('.tag', { hasText: 'too little support' }).count()).toBe(2);
  });

  test('a feature’s page and the table name the probe it answers', async () => {
    await go(page, `#/feature/${germanFeature}`);
    expect(await page.locator('.words').innerText()).toContain(`German best · F1 ${site.fixture.probes[0]!.answers[0]!.f1.toFixed(2)}`);
    expect(await page.locator('.words').innerText()).toContain('German prose, above all articles of law by a-language-model, Spearman 0.71, detection 0.94');
    await go(page, '#/?q=probe%3Ahebrew');
    const rows = await page.$$eval('tr[data-feature]', (list) => list.map((row) => Number((row as HTMLElement).dataset['feature'])));
    const expected = site.fixture.index.probe.flatMap((probe, feature) => (probe === 2 ? [feature] : []));
    expect(rows).toEqual(expected);
    await go(page, '#/?q=articles');
    expect(await page.locator('tr[data-feature]').count()).toBe(1);
  });
});

test('neighbours are named in words: a label, else the probe they answer', async () => {
  const { pages, probes, index } = site.fixture;
  const near = (of: number, feature: number) => pages[of]!.nearest.some((other) => other.feature === feature);
  const probed = index.probe.findIndex((probe, feature) => probe >= 0 && feature > 0 && pages.some((page) => near(page.feature, feature)));
  const beside = pages.findIndex((page) => near(page.feature, probed));
  const inList = (feature: number) => page.locator('.weights.nearest >> nth=0 >> li', { has: page.locator(`a[href="#/feature/${feature}"]`) }).locator('.said').innerText();
  await go(page, `#/feature/${beside}`);
  expect(await inList(probed)).toBe(probes[index.probe[probed]!]!.name);
  await go(page, `#/feature/${pages.findIndex((page) => near(page.feature, 7))}`);
  expect(await inList(7)).toBe('words <i>in</i> italics & "quotes"');
  await go(page, '#/compare/0/7');
  expect(await page.locator('.side').first().locator('.words').innerText()).toContain('German prose, above all articles of law by a-language-model');
  expect(await page.locator('.side').last().locator('.words').innerText()).toContain('words <i>in</i> italics');
});

describe('ablation effects', () => {
  test('predicted tokens are underlined blue or red by the sign of their effect, in words in the legend and the tooltip', async () => {
    await go(page, `#/feature/${germanFeature}`);
    await page.getByRole('button', { name: 'full context' }).click();
    const [example] = site.fixture.pages[germanFeature]!.top;
    const row = page.locator('.example .text').first();
    const strongest = example!.effects.reduce((best, effect, place) => (Math.abs(effect) > Math.abs(example!.effects[best]!) ? place : best), 0);
    const style = (selector: string) => row.locator(selector).first().evaluate((element) => [getComputedStyle(element).textDecorationLine, getComputedStyle(element).textDecorationStyle]);
    expect(await style('.likelier')).toEqual(['underline', 'solid']);
    expect(await style('.unlikelier')).toEqual(['underline', 'dashed']);
    const legend = await page.getByRole('list', { name: 'How to read the examples' }).innerText();
    expect(legend).toMatch(/made more likely by the feature on the token before \(up to [\d.]+ nats\)/);
    const underlined = row.locator('.likelier, .unlikelier');
    expect(await underlined.count()).toBeGreaterThan(3);
    const strengths = await underlined.evaluateAll((list) => list.map((element) => Number((element as HTMLElement).style.getPropertyValue('--effect'))));
    expect(Math.max(...strengths)).toBeLessThanOrEqual(1);
    const tooltips: string[] = [];
    for (const token of await underlined.all()) {
      await token.focus();
      tooltips.push(await page.getByRole('tooltip').innerText());
    }
    const value = example!.effects[strongest]!;
    expect(tooltips.join('\n')).toContain(`effect ${value > 0 ? '+' : '−'}${Math.abs(value).toPrecision(3)} nats`);
  });
});

describe('two features', () => {
  test('stand side by side with what they share, reached from either’s page', async () => {
    await go(page, '#/feature/0');
    await page.getByLabel('Feature to compare with').fill('7');
    await page.evaluate(() => delete document.body.dataset['ready']);
    await page.getByRole('button', { name: 'Compare', exact: true }).click();
    await ready(page);
    expect(page.url()).toBe(`${site.url}#/compare/0/7`);
    expect(await page.locator('.side h2 a').allInnerTexts()).toEqual(['Feature 0', 'Feature 7']);
    const facts = await page.locator('.compare-view > .facts').innerText();
    expect(facts).toContain(site.fixture.pages[0]!.nearest.find(({ feature }) => feature === 7)!.cosine.toFixed(2));
    const shared = site.fixture.pages[0]!.logits.top.filter(({ token }) => site.fixture.pages[7]!.logits.top.some((other) => other.token === token)).length;
    expect(await page.locator('.compare-view > .facts > div', { hasText: 'Both raise' }).locator('.chip').count()).toBe(shared);
    await go(page, '#/compare/0/64');
    expect(await page.getByRole('alert').innerText()).toContain('There is no feature 64');
  });
});

describe('the map', () => {
  test('draws the features, names the one under the pointer, and a click opens it', async () => {
    await go(page, '#/map');
    const canvas = page.locator('canvas.map');
    await canvas.focus();
    await page.keyboard.press('ArrowRight');
    const feature = await page.locator('#map-point b').innerText();
    const tooltip = page.getByRole('tooltip');
    expect(await tooltip.innerText()).toContain(`density ${site.fixture.index.density[Number(feature)]!.toExponential(1)}`);
    const bubble = await tooltip.boundingBox();
    const colours = () => canvas.evaluate((element) => new Set(new Uint32Array((element as HTMLCanvasElement).getContext('2d')!.getImageData(0, 0, (element as HTMLCanvasElement).width, (element as HTMLCanvasElement).height).data.buffer)).size);
    expect(await colours()).toBeGreaterThan(5);
    await page.getByLabel('Colour by').selectOption('density');
    expect(await page.getByRole('list', { name: 'Colours' }).innerText()).toContain('density 1e-2');
    // the point is below its tooltip: a click there opens it
    await page.mouse.click(bubble!.x + bubble!.width / 2, bubble!.y + bubble!.height + 16);
    await page.waitForSelector('body[data-route="feature"][data-ready]');
    expect(await page.locator('h1').innerText()).toContain(`Feature ${feature}`);
  });

  test('lists its clusters for those who do not look at pictures', async () => {
    await go(page, '#/map');
    const members = site.fixture.index.density.filter((density) => density > 0).length;
    expect(await page.locator('.map-view .lead').innerText()).toContain(`the ${members} of 64 features that fired`);
    expect(await page.locator('.clusters > li').count()).toBeGreaterThan(3);
    expect(await page.locator('.clusters a').first().getAttribute('href')).toMatch(/^#\/feature\/\d+$/);
  });
});

describe('notes', () => {
  test('a star and a comment are kept, found, exported, and read again by another browser', async () => {
    await go(page, '#/feature/9');
    await page.getByRole('button', { name: 'Star this feature' }).click();
    await page.getByLabel('Comment').fill('  vowels of Hebrew ');
    await go(page, '#/?q=is%3Astarred');
    expect(await page.locator('tr[data-feature]').evaluateAll((rows) => rows.map((row) => (row as HTMLElement).dataset['feature']))).toEqual(['9']);
    expect(await page.locator('tr[data-feature="9"]').innerText()).toContain('vowels of Hebrew');
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Export notes' }).click()]);
    const file = join(site.folder, 'notes.json');
    await download.saveAs(file);
    const saved = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;
    expect(saved).toEqual({ format: 'saeflow-notes-1', run: site.fixture.run.lineage.find(({ stage }) => stage === 'trainSae')!.key, notes: [{ feature: 9, starred: true, comment: 'vowels of Hebrew' }] });

    const other = await site.open('#/?q=note%3Avowels');
    expect(await other.locator('tr[data-feature]').count()).toBe(0);
    const load = async (content: string): Promise<string> => {
      await writeFile(file, content);
      await other.getByLabel('File of notes').setInputFiles(file);
      await other.waitForFunction(() => document.querySelector('.notes-tools .hint')?.textContent !== '');
      const said = await other.locator('.notes-tools .hint').innerText();
      await other.locator('.notes-tools .hint').evaluate((element) => (element.textContent = ''));
      return said;
    };
    expect(await load('{"format"')).toContain('not a file of notes');
    expect(await load(JSON.stringify({ ...saved, run: 'f'.repeat(64) }))).toContain('on another SAE');
    expect(await load(JSON.stringify({ ...saved, notes: [{ feature: 64, starred: true, comment: '' }] }))).toContain('not a file of notes');
    expect(await load(JSON.stringify(saved))).toBe('1 note read');
    expect(await other.locator('tr[data-feature]').evaluateAll((rows) => rows.map((row) => (row as HTMLElement).dataset['feature']))).toEqual(['9']);
    await other.context().close();
  });
});

test('no console error, and no request left this machine', () => {
  expect(site.complaints.filter((complaint) => !complaint.startsWith('request: blob:'))).toEqual([]);
});
