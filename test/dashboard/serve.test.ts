// The static server: right types, nothing outside the folder, nobody from elsewhere.
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { serveSite, type SiteServer } from '../../dashboard/serve.ts';
import { UserError } from '../../schemas/errors.ts';

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
