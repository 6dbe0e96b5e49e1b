// The static server: right types, nothing outside the folder, nobody from elsewhere.
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openStore } from '../../data/artifactStore.ts';
import { addLabels } from '../../data/labels.ts';
import { serveSite, type SiteServer } from '../../dashboard/serve.ts';
import { storeSource } from '../../dashboard/storeSource.ts';
import { UserError } from '../../schemas/errors.ts';
import { dashboardKey, putSite, sitePath } from '../data/exchangeSite.ts';

let folder: string;
let site: SiteServer;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'saeflow-serve-'));
  await mkdir(join(folder, 'site', 'data'), { recursive: true });
  await writeFile(join(folder, 'secret.txt'), 'secret');
  await writeFile(join(folder, 'site', 'index.html'), '<!doctype html>');
  await writeFile(join(folder, 'site', 'app.js'), '1');
  await writeFile(join(folder, 'site', 'data', 'run.json'), '{}');
  await symlink(join(folder, 'secret.txt'), join(folder, 'site', 'link.txt'));
  site = await serveSite(join(folder, 'site'));
});

afterAll(async () => {
  await site.close();
  await rm(folder, { recursive: true });
});

/** A request whose path is sent as it is: fetch() would resolve `..` itself. */
function raw(path: string, options: { host?: string; method?: string } = {}): Promise<{ status: number; type?: string; body: string }> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(site.url);
    const outgoing = request({ hostname, port, path, method: options.method ?? 'GET', headers: { host: options.host ?? `127.0.0.1:${port}` } }, (response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => (body += chunk.toString()));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, type: response.headers['content-type'], body }));
    });
    outgoing.on('error', reject);
    outgoing.end();
  });
}

test('serves the page, scripts and data with their types', async () => {
  expect(await raw('/')).toEqual({ status: 200, type: 'text/html; charset=utf-8', body: '<!doctype html>' });
  expect(await raw('/app.js?v=1')).toMatchObject({ status: 200, type: 'text/javascript; charset=utf-8' });
  expect(await raw('/data/run.json')).toMatchObject({ status: 200, type: 'application/json; charset=utf-8', body: '{}' });
  expect(await raw('/data/run.json', { method: 'HEAD' })).toMatchObject({ status: 200, body: '' });
});

test('gives out nothing outside the folder, by no spelling and no link', async () => {
  for (const path of ['/../secret.txt', '/data/../../secret.txt', '/%2e%2e/secret.txt', '/..%2fsecret.txt', '/link.txt', '/data', '/nothing', '/%', '/%00']) {
    expect({ path, ...(await raw(path)) }).toMatchObject({ path, status: 404 });
  }
});

test('refuses other methods and requests addressed to another name', async () => {
  expect((await raw('/', { method: 'POST' })).status).toBe(405);
  expect((await raw('/', { host: 'evil.example' })).status).toBe(421);
  expect((await raw('/', { host: 'localhost:1' })).status).toBe(200);
});

test('says what is wrong with a folder without a page and with a taken port', async () => {
  await expect(serveSite(folder)).rejects.toThrow(UserError);
  await expect(serveSite(folder)).rejects.toThrow(folder);
  const port = Number(new URL(site.url).port);
  await expect(serveSite(join(folder, 'site'), { port })).rejects.toThrow(`port ${port} is in use`);
});

test('frees its port on close', async () => {
  const other = await serveSite(join(folder, 'site'));
  const port = Number(new URL(other.url).port);
  await other.close();
  const again = await serveSite(join(folder, 'site'), { port });
  expect(again.url).toBe(other.url);
  await again.close();
});

describe('ranges and versions', () => {
  const get = (headers: Record<string, string> = {}, url = site.url) => fetch(`${url}data/run.json`, { headers });
  const ranged = async (range: string, more: Record<string, string> = {}) => {
    const response = await get({ range, ...more });
    return { status: response.status, range: response.headers.get('content-range'), body: await response.text() };
  };
  beforeAll(() => writeFile(join(folder, 'site', 'data', 'run.json'), '0123456789'));

  test('gives the bytes asked for, from the front, to the end, from the back', async () => {
    expect(await ranged('bytes=2-4')).toEqual({ status: 206, range: 'bytes 2-4/10', body: '234' });
    expect(await ranged('bytes=7-')).toEqual({ status: 206, range: 'bytes 7-9/10', body: '789' });
    expect(await ranged('bytes=-3')).toEqual({ status: 206, range: 'bytes 7-9/10', body: '789' });
    expect(await ranged('bytes=8-99')).toEqual({ status: 206, range: 'bytes 8-9/10', body: '89' });
    expect(await ranged('bytes=0-0')).toEqual({ status: 206, range: 'bytes 0-0/10', body: '0' });
  });

  test('refuses ranges past the end, and sends the whole file where the range means nothing', async () => {
    expect(await ranged('bytes=10-')).toEqual({ status: 416, range: 'bytes */10', body: '' });
    expect(await ranged('bytes=-0')).toEqual({ status: 416, range: 'bytes */10', body: '' });
    for (const range of ['bytes=4-2', 'bytes=-', 'lines=1-2', 'bytes=0-1,3-4']) expect(await ranged(range)).toMatchObject({ status: 200, body: '0123456789' });
  });

  test('says that a copy is current, until the file is another', async () => {
    const tag = (await get()).headers.get('etag')!;
    expect((await get({ 'if-none-match': `"x", W/${tag}` })).status).toBe(304);
    expect(await ranged('bytes=0-1', { 'if-range': tag })).toMatchObject({ status: 206, body: '01' });
    await writeFile(join(folder, 'site', 'data', 'run.json'), '9876543210');
    expect(await (await get({ 'if-none-match': tag })).text()).toBe('9876543210');
    expect(await ranged('bytes=0-1', { 'if-range': tag })).toMatchObject({ status: 200, body: '9876543210' });
  });
});

describe('out of a store', () => {
  test('gives page, data by range, and labels that came later', async () => {
    const store = openStore(join(folder, 'store'));
    await putSite(store);
    const server = await serveSite(storeSource(store, sitePath));
    try {
      expect(await (await fetch(server.url)).text()).toContain('<title>features</title>');
      const whole = Buffer.from(await store.get(`${sitePath}/data/index.json`));
      const part = await fetch(`${server.url}data/index.json`, { headers: { range: 'bytes=5-14' } });
      expect([part.status, await part.text()]).toEqual([206, whole.subarray(5, 15).toString()]);
      expect(await (await fetch(`${server.url}data/labels.json`)).json()).toEqual({ model: '', labels: [] });
      for (const missing of ['data/nothing.json', '..%2fspec.json', 'data/\u00fc']) expect((await fetch(server.url + missing)).status).toBe(404);
      await addLabels(store, dashboardKey, { model: 'm', labels: [{ feature: 1, text: 'cats', spearman: null, detection: 1 }] });
      const labels = await fetch(`${server.url}data/labels.json`);
      expect(await labels.json()).toMatchObject({ labels: [{ text: 'cats' }] });
      await addLabels(store, dashboardKey, { model: 'm', labels: [{ feature: 1, text: 'dogs', spearman: null, detection: 1 }] });
      expect(await (await fetch(`${server.url}data/labels.json`, { headers: { 'if-none-match': labels.headers.get('etag')! } })).json()).toMatchObject({ labels: [{ text: 'dogs' }] });
    } finally {
      await server.close();
    }
  });

  test('refuses a store without such a dashboard', async () => {
    await expect(serveSite(storeSource(openStore(join(folder, 'empty')), sitePath))).rejects.toThrow(UserError);
  });
});
