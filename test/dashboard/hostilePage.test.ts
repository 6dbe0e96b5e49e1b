// Tokens that a vocabulary may hold and a page must survive: markup, direction overrides, NUL, surrogates, halves of
// emoji, 10 kB of one letter. They are put in place of the tokens of a feature's examples, and seen on every view.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { featureLabels, probesPage, vocabulary } from '../../schemas/dashboard.ts';
import { go, openFixtureSite, type OpenSite } from './browser.ts';
import { germanFeature } from './fixtureSite.ts';

const bytesOf = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');
const markup = '<img src=x onerror="document.body.dataset.injected=1"></td><script>document.body.dataset.injected=1</script>';
const hostile = [
  bytesOf(markup),
  bytesOf('\u202egnp.exe\u2066'),
  '\u0000\u0001\u001b[31m',
  '\xed\xa0\x80', // a lone surrogate as UTF-8 would write it
  '\xf0\x9f', // half of an emoji
  '\xa4\xa9', // and its other half, of another one
  '\xff\xfe',
  'A'.repeat(10_000),
  bytesOf('ก็็็็็็็็็็็็็็็็็็็็'), // marks that stack up
  '',
  bytesOf('\u2028\u2029'),
  bytesOf('javascript:document.body.dataset.injected=1'),
];

let site: OpenSite;
let page: Page;
beforeAll(async () => {
  site = await openFixtureSite();
  const words = structuredClone(site.fixture.vocabulary);
  const used = [...new Set(site.fixture.pages[germanFeature]!.top.flatMap(({ tokens, centre }) => [tokens[centre]!, ...tokens]))].filter((token) => token !== words.eot);
  used.forEach((token, place) => (words.tokens[token] = hostile[place % hostile.length]!));
  const write = (name: string, value: unknown): Promise<void> => writeFile(join(site.folder, 'data', name), JSON.stringify(value));
  await write('vocabulary.json', vocabulary.parse(words));
  await write('labels.json', featureLabels.parse({ model: markup, labels: [{ feature: germanFeature, text: `${markup}\u202e${'x'.repeat(3_000)}`, spearman: null, detection: 1 }] }));
  const [first, ...others] = site.fixture.probes;
  await write('probes.json', probesPage.parse([{ ...first!, name: markup, description: '\u202e'.repeat(50) }, ...others]));
  page = await site.open('#/', { viewport: { width: 360, height: 740 } });
});
afterAll(() => site.close());

const views = ['#/', `#/feature/${germanFeature}`, `#/compare/${germanFeature}/2`, '#/map', '#/probes', '#/run'];

test.each(views)('%s shows them as text: nothing runs, nothing loads, nothing is wider than the screen', async (hash) => {
  await go(page, hash);
  if (hash.startsWith('#/feature')) await page.getByRole('button', { name: 'full context' }).click();
  await page.waitForTimeout(0);
  expect(await page.locator('main script, main img, main iframe').count()).toBe(0);
  expect(await page.evaluate(() => document.body.dataset['injected'])).toBeUndefined();
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(360);
  const text = await page.locator('main').innerText();
  for (const character of ['\u0000', '\u202e', '\ufffd']) expect(text).not.toContain(character);
  expect(text).not.toMatch(/\p{Cs}/u);
});

test('what cannot be seen is named, what is too long is cut, and the whole is still searched', async () => {
  await go(page, `#/feature/${germanFeature}`);
  await page.getByRole('button', { name: 'full context' }).click();
  const text = (await page.locator('.example .text').allInnerTexts()).join('\n');
  expect(text).toContain(markup);
  for (const mark of ['‹U+202E›gnp.exe‹U+2066›', '‹U+0000›‹U+0001›‹U+001B›[31m', '‹ED›‹A0›‹80›', '‹FF›‹FE›', '‹9,700 more characters›', '‹U+2028›‹U+2029›']) expect(text).toContain(mark);
  const wide = await site.open(`#/?q=${encodeURIComponent(`token:"${'a'.repeat(9_999)}"`)}`);
  expect(await wide.getByRole('alert').count()).toBe(0);
  await wide.close();
});

test('a note that looks like markup stays text', async () => {
  await go(page, '#/feature/7');
  await page.getByLabel('Comment').fill(markup);
  await go(page, '#/?q=%237');
  expect(await page.locator('tr[data-feature="7"] .about').innerText()).toContain('<img src=x');
  expect(await page.evaluate(() => document.body.dataset['injected'])).toBeUndefined();
});

test('no console error, and no request left this machine', async () => {
  expect(site.complaints).toEqual([]);
  expect(await readFile(join(site.folder, 'index.html'), 'utf8')).toContain("default-src 'none'");
});
