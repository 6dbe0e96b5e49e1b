// The bundle: three files, the same bytes each time, nothing fetched from elsewhere.
import { expect, test } from 'vitest';
import { buildPage } from '../../dashboard/buildPage.ts';

test('two builds are equal byte for byte', async () => {
  const [first, second] = [await buildPage(), await buildPage()];
  expect(first.map(({ path }) => path)).toEqual(['index.html', 'app.css', 'app.js']);
  expect(first).toEqual(second);
});

test('the page names its files by relative address and loads nothing from another host', async () => {
  const files = new Map((await buildPage()).map(({ path, bytes }) => [path, new TextDecoder().decode(bytes)]));
  const html = files.get('index.html') ?? '';
  expect([...html.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, address]) => address).filter((address) => !address?.startsWith('data:'))).toEqual(['app.css', 'app.js']);
  expect(files.get('app.css')).not.toMatch(/url\(|@import/);
  const addresses = [...(files.get('app.js') ?? '').matchAll(/https?:\/\/[^\s"'`)]+/g)].map(([address]) => address);
  expect(addresses.filter((address) => !/^http:\/\/www\.w3\.org\/|^https:\/\/github\.com\/leeoniq\/uPlot/.test(address))).toEqual([]);
});

test('the script stays small: no schema library gets into it', async () => {
  const script = (await buildPage()).find(({ path }) => path === 'app.js');
  expect(script?.bytes.length).toBeLessThan(120_000);
});
