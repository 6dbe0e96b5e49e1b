// The bundles: the page's three files and those of the model, the same bytes each time, nothing fetched from elsewhere.
import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { buildPage } from '../../dashboard/buildPage.ts';

test('two builds are equal byte for byte', async () => {
  const [first, second] = [await buildPage(), await buildPage()];
  const paths = first.map(({ path }) => path);
  expect(paths.filter((path) => !path.startsWith('own/'))).toEqual(['index.html', 'app.css', 'app.js']);
  expect(paths).toEqual(expect.arrayContaining(['own/worker.js', 'own/tfjs-backend-wasm.wasm', 'own/tfjs-backend-wasm-simd.wasm']));
  const hashes = (files: typeof first) => files.map(({ path, bytes }) => [path, createHash('sha256').update(bytes).digest('hex')]);
  expect(hashes(first)).toEqual(hashes(second));
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
  // 131 kB with all views but the model's own, which load by themselves; zod alone would be 450
  expect(script?.bytes.length).toBeLessThan(160_000);
});
