// A feature's page in a real browser: shading, whole characters, text that looks like markup, keyboard, provenance.
import type { Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { go, openFixtureSite, ready, type OpenSite } from './browser.ts';
import { deadFeature, germanFeature, hebrewFeature, japaneseFeature, markupFeature } from './fixtureSite.ts';
import { fixtureTexts } from './fixtureTexts.ts';

let site: OpenSite;
let page: Page;
beforeAll(async () => {
  site = await openFixtureSite();
  page = await site.open(`#/feature/${germanFeature}`);
});
afterAll(() => site.close());

const featureOf = (number: number) => {
  const found = site.fixture.pages[number];
  if (found === undefined) throw new Error(`no page ${number}`);
  return found;
};
const opacityOf = (token: Locator): Promise<number> =>
  token.evaluate((element) => Number(/\/ ([\d.]+)\)|, ([\d.]+)\)$/.exec(getComputedStyle(element).backgroundColor)?.slice(1).find((part) => part !== undefined) ?? 1));

test('the header, the intervals and the lists hold the numbers of the data', async () => {
  const feature = featureOf(germanFeature);
  const facts = await page.locator('.feature-header .facts').innerText();
  expect(facts).toContain(`${feature.count.toLocaleString('en-US')} tokens`);
  expect(facts).toContain(feature.maxActivation.toPrecision(3));
  expect(facts).toContain(feature.meanActivation.toPrecision(3));
  expect(await page.locator('.languages li').first().innerText()).toMatch(/^de /);
  expect(await page.locator('section .section-head .hint').allInnerTexts()).toEqual(feature.intervals.map(({ count }) => `${count} token${count === 1 ? '' : 's'}`));
  expect(await page.locator('.example').count()).toBe(feature.top.length + feature.intervals.reduce((sum, { examples }) => sum + examples.length, 0));
  expect(await page.locator('.weights.positive li').count()).toBe(10);
  expect(await page.locator('.weights.positive .value').first().innerText()).toBe(`+${feature.logits.top[0]?.value.toPrecision(3)}`);
  expect(await page.locator('.weights.nearest li > a:first-child').evaluateAll((links) => links.map((link) => link.getAttribute('href')))).toEqual([...feature.nearest, ...feature.correlatedFeatures].map((near) => `#/feature/${near.feature}`));
  expect(await page.locator('.weights.neuron .value').allInnerTexts()).toEqual([...feature.neurons.map(({ weight, share }) => `${weight > 0 ? '+' : '−'}${Math.abs(weight).toPrecision(3)} · ${Math.round(share * 100)}%`), ...feature.correlatedNeurons.map(({ pearson }) => pearson.toFixed(2))]);
  expect(await page.locator('.histogram rect').count()).toBe(feature.histogram.filter((count) => count > 0).length + feature.logits.histogram.counts.filter((count) => count > 0).length);
});

test('a token is shaded in proportion to its activation, and the one that fired is outlined', async () => {
  await page.getByRole('button', { name: 'full context' }).click();
  const feature = featureOf(germanFeature);
  const text = page.locator('.example .text').first();
  const fired = text.locator('mark.fired');
  expect(await fired.count()).toBe(1);
  expect(await fired.evaluate((element) => getComputedStyle(element).outlineStyle)).toBe('solid');
  const shares = await text.locator('.token').evaluateAll((tokens) => tokens.map((token) => Number((token as HTMLElement).style.getPropertyValue('--share'))));
  const activations = featureOf(germanFeature).top[0]?.activations ?? [];
  // A span may stand for several tokens, so each shade must be one of the activations, not the one at its position.
  for (const share of shares.filter((value) => value > 0)) {
    expect(Math.min(...activations.map((activation) => Math.abs(activation / feature.maxActivation - share)))).toBeLessThan(1e-3);
  }
  const full = await opacityOf(fired);
  expect(full).toBeCloseTo(0.9, 2);
  const weaker = shares.findIndex((share) => share > 0.2 && share < 0.8);
  expect((await opacityOf(text.locator('.token').nth(weaker))) / full).toBeCloseTo(shares[weaker] ?? 0, 2);
  const silent = shares.findIndex((share) => share === 0);
  expect(await opacityOf(text.locator('.token').nth(silent))).toBe(0);
  await page.getByRole('button', { name: 'full context' }).click();
});

test('the provenance of an example is on its line', async () => {
  const { document } = featureOf(germanFeature).top[0] ?? {};
  expect(await page.locator('.example .provenance').first().innerText()).toBe(`de · udhr · corpus.jsonl:${document?.line} · token ${document?.offset}`);
});

test('the tooltip lists the tokens of a span, on hover and on focus; arrow keys walk the tokens; Escape closes', async () => {
  const fired = page.locator('.example mark.fired').first();
  const example = featureOf(germanFeature).top[0];
  await fired.hover();
  const tooltip = page.getByRole('tooltip');
  expect(await tooltip.innerText()).toContain(`id ${example?.tokens[example.centre]}`);
  expect(await tooltip.innerText()).toContain(`activation ${example?.value.toPrecision(3)}`);
  await page.mouse.move(2, 2);
  await page.keyboard.press('Escape');
  expect(await tooltip.isVisible()).toBe(false);
  await fired.focus();
  expect(await tooltip.isVisible()).toBe(true);
  expect(await fired.getAttribute('aria-describedby')).toBe('tooltip');
  await page.keyboard.press('ArrowLeft');
  expect(await page.locator('h1').innerText()).toBe(`Feature ${germanFeature}`);
  expect(await page.evaluate(() => document.activeElement?.nextElementSibling?.classList.contains('fired'))).toBe(true);
  await page.keyboard.press('Escape');
  expect(await tooltip.isVisible()).toBe(false);
});

test('characters that span tokens are shown whole, also when a token holds a part of two', async () => {
  await go(page, `#/feature/${japaneseFeature}`);
  await page.getByRole('button', { name: 'full context' }).click();
  const original = fixtureTexts.find(({ lang }) => lang === 'ja')?.sentences ?? [];
  const around = [...original, ...original].join('') + 'end of text';
  const texts = await page.locator('.example', { has: page.locator('.provenance b', { hasText: 'ja' }) }).locator('.text').allInnerTexts();
  expect(texts.length).toBeGreaterThan(20);
  for (const text of texts) {
    // Only a character cut by the ends of the example may be bytes.
    const inner = text.replace(/^(‹[0-9A-F]{2}›){1,3}/, '').replace(/(‹[0-9A-F]{2}›){1,3}$/, '').replace(/end of text$/, '');
    expect(inner).not.toMatch(/[‹\uFFFD]/);
    expect(around).toContain(inner.trim());
  }
  // Far down the page: the tooltip must survive the scrolling that brings the token into view.
  const split = page.locator('.token', { hasText: '鯱' }).last();
  await split.focus();
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
  const tooltip = page.getByRole('tooltip');
  expect(await tooltip.locator('tr').count()).toBeGreaterThan(1);
  const [token, bubble] = await Promise.all([split.boundingBox(), tooltip.boundingBox()]);
  expect(Math.abs((token?.y ?? 0) - ((bubble?.y ?? 0) + (bubble?.height ?? 0)))).toBeLessThan(20);
});

test('a text that looks like markup is text, newlines are marks, direction overrides are named', async () => {
  await go(page, `#/feature/${markupFeature}`);
  await page.getByRole('button', { name: 'full context' }).click();
  const shown = (await page.locator('.example .text').allInnerTexts()).join('\n');
  expect(shown).toContain('<script>document.body.dataset.injected = "yes"</script>↵');
  expect(shown).toContain('↵⇥<b>bold</b> &amp; <i>italic</i>');
  expect(shown).toContain('‹U+202E›gnp.exe');
  expect(await page.locator('main script, main img, .example b:not(.provenance b), .example i').count()).toBe(0);
  expect(await page.evaluate(() => document.body.dataset['injected'])).toBeUndefined();
});

test('a right-to-left text is laid out from the right', async () => {
  await go(page, `#/feature/${hebrewFeature}`);
  expect(await page.locator('.example .text').first().evaluate((element) => getComputedStyle(element).direction)).toBe('rtl');
});

test('a long example opens and closes', async () => {
  await go(page, `#/feature/${germanFeature}`);
  const row = page.locator('.example', { has: page.getByRole('button', { name: 'Show more context' }) }).first();
  const lengthOf = async (): Promise<number> => (await row.locator('.text').innerText()).length;
  const short = await lengthOf();
  const toggle = row.locator('.expand');
  await toggle.evaluate((button) => button.setAttribute('data-test', 'chosen'));
  const chosen = page.locator('[data-test="chosen"]');
  const text = page.locator('.example', { has: chosen }).locator('.text');
  await chosen.click();
  expect(await chosen.getAttribute('aria-expanded')).toBe('true');
  expect((await text.innerText()).length).toBeGreaterThan(short);
  await chosen.click();
  expect((await text.innerText()).length).toBe(short);
});

test('previous and next follow the list the reader came from, by key and by button', async () => {
  await go(page, '#/?q=lang%3Ade');
  const list = await page.$$eval('tr[data-feature]', (rows) => rows.map((row) => Number((row as HTMLElement).dataset['feature'])));
  await go(page, `#/feature/${list[0]}`);
  const title = (): Promise<string> => page.locator('h1').innerText();
  const step = async (press: () => Promise<void>): Promise<string> => {
    await page.evaluate(() => delete document.body.dataset['ready']);
    await press();
    await ready(page);
    return title();
  };
  expect(await page.locator('.steps').innerText()).toContain(`1 of ${list.length} in the list`);
  expect(await step(() => page.keyboard.press('j'))).toBe(`Feature ${list[1]}`);
  expect(await step(() => page.keyboard.press('ArrowRight'))).toBe(`Feature ${list[2]}`);
  expect(await step(() => page.keyboard.press('ArrowLeft'))).toBe(`Feature ${list[1]}`);
  expect(await step(() => page.keyboard.press('k'))).toBe(`Feature ${list[0]}`);
  expect(await step(() => page.getByRole('link', { name: `Next feature ${list[1]}` }).click())).toBe(`Feature ${list[1]}`);
});

test('a link to a feature can be copied', async () => {
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  await go(page, '#/feature/7');
  await page.getByRole('button', { name: 'Copy link' }).click();
  await page.getByRole('button', { name: 'Copied' }).waitFor();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(`${site.url}#/feature/7`);
});

test('a dead feature says so and still shows its logits', async () => {
  await go(page, `#/feature/${deadFeature}`);
  expect(await page.locator('.notice').innerText()).toContain('did not fire on any of the');
  expect(await page.locator('.weights.positive li').count()).toBe(10);
});

test('no console error, and no request left this machine', () => {
  expect(site.complaints).toEqual([]);
});
