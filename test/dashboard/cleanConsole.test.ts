// A whole site, as a run leaves it, asks for nothing that is not there: who opens the browser's console finds it empty,
// before and after automatic labels were made.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { addLabels } from '../../data/labels.ts';
import { openTrainedSite, type OpenTrainedSite } from './browser.ts';

const views = ['#/', '#/?dead=1&ultralow=1&sort=probe&dir=desc', '#/feature/0', '#/compare/0/1', '#/map', '#/probes', '#/texts', '#/texts/3?feature=5', '#/own?backend=wasm', '#/run'];
let site: OpenTrainedSite;
beforeAll(async () => {
  site = await openTrainedSite();
});
afterAll(() => site.close());

async function openAll(): Promise<string[]> {
  const said: string[] = [];
  for (const hash of views) {
    // each in a browser context of its own: nothing is found in a cache
    const page = await site.open(hash);
    if (hash.startsWith('#/own')) await page.locator('.next-tokens tbody tr').first().waitFor();
    await page.waitForLoadState('networkidle');
    expect(await page.getByRole('alert').filter({ visible: true }).count()).toBe(0);
    said.push(await page.locator('main').innerText());
    await page.context().close();
  }
  return said;
}

test('no view logs an error or gets a 404, without labels and with', async () => {
  expect((await openAll()).some((text) => text.includes('a word of my own'))).toBe(false);
  await addLabels(site.trained.inputs.store, site.trained.dashboard, { model: 'm', labels: [{ feature: 0, text: 'a word of my own', spearman: null, detection: null }] });
  expect((await openAll()).filter((text) => text.includes('a word of my own')).length).toBeGreaterThan(1);
  expect(site.complaints).toEqual([]);
});

test('what is missing would be seen', async () => {
  const page = await site.open('#/');
  await page.evaluate(() => fetch('data/nothing.json'));
  await page.waitForLoadState('networkidle');
  expect(site.complaints.join('\n')).toMatch(/console: .*404/);
  expect(site.complaints.join('\n')).toContain(`404: ${site.url}data/nothing.json`);
  await page.context().close();
});
