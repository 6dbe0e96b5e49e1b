// Publishing by the command: to a folder and to a real S3 server, again without sending anything, over an earlier
// dashboard without harm to what others put there; and the page runs in Chromium from a sub-path of the bucket.
import { mkdtempSync, rmSync } from 'node:fs';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HeadObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openStore } from '../../data/artifactStore.ts';
import { addLabels } from '../../data/labels.ts';
import { publishSite } from '../../cli/publish.ts';
import { UserError } from '../../schemas/errors.ts';
import { startS3Server, type RunningS3Server } from '../../setup/s3Server.ts';
import { serveSite } from '../../dashboard/serve.ts';
import { launchBrowser } from '../dashboard/browser.ts';
import { dashboardKey, putSite } from '../data/exchangeSite.ts';
import { runCli } from './runCli.ts';

const folder = mkdtempSync(join(tmpdir(), 'saeflow-publish-'));
const storeFolder = join(folder, 'store');
let server: RunningS3Server;

beforeAll(async () => {
  server = await startS3Server('saeflow-test');
  Object.assign(process.env, server.env);
  await putSite(openStore(storeFolder));
}, 1_200_000);
afterAll(async () => {
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const publish = (to: string) => runCli(folder, ['publish', '--store', storeFolder, '--to', to]);
const text = (content: string) => async () => Buffer.from(content);
const site = (files: Record<string, string>) => new Map(Object.entries(files).map(([name, content]) => [name, text(content)]));

describe('saeflow publish', () => {
  it('writes page, data and labels to a bucket with their types, and nothing the second time', async () => {
    await addLabels(openStore(storeFolder), dashboardKey, { model: 'm', labels: [{ feature: 1, text: 'cats', spearman: 0.5, detection: null }] });
    const first = await publish('s3://saeflow-test/web/demo');
    expect(first).toMatchObject({ exitCode: 0 });
    expect(first.stdout).toMatch(/: 10 files sent .* 0 unchanged, 0 of an earlier/);
    const client = new S3Client({ forcePathStyle: true });
    const head = (name: string) => client.send(new HeadObjectCommand({ Bucket: 'saeflow-test', Key: `web/demo/${name}` }));
    expect(await head('index.html')).toMatchObject({ ContentType: 'text/html; charset=utf-8', CacheControl: 'no-cache' });
    expect(await head('data/run.json')).toMatchObject({ ContentType: 'application/json; charset=utf-8' });
    expect(await head('data/labels.json')).toMatchObject({ ContentType: 'application/json; charset=utf-8' });
    client.destroy();
    expect((await publish('s3://saeflow-test/web/demo')).stdout).toMatch(/: 0 files sent .* 10 unchanged, 0 of an earlier/);
  });

  it('runs in Chromium from a sub-path of a host that has other things too', async () => {
    const www = join(folder, 'www');
    expect(await publish(join(www, 'team/features'))).toMatchObject({ exitCode: 0 });
    await writeFile(join(www, 'index.html'), 'the host');
    const host = await serveSite(www);
    const browser = await launchBrowser();
    try {
      const page = await browser.newPage();
      const complaints: string[] = [];
      page.on('pageerror', (error) => complaints.push(error.message));
      page.on('requestfailed', (request) => complaints.push(request.url()));
      await page.goto(`${host.url}team/features/`);
      await page.waitForFunction(() => document.title === '10 features');
      expect(complaints).toEqual([]);
    } finally {
      await browser.close();
      await host.close();
    }
  });
});

describe('publishSite', () => {
  it('sends what changed, deletes only what it wrote itself, and leaves the files of others', async () => {
    const target = join(folder, 'over');
    await publishSite(site({ 'index.html': 'a', 'data/run.json': '1', 'data/old.json': 'old' }), target);
    await writeFile(join(target, 'data', 'theirs.json'), 'theirs');
    expect(await publishSite(site({ 'index.html': 'a', 'data/run.json': '2' }), target)).toEqual({ sent: 1, unchanged: 1, deleted: 1, bytes: 1 });
    expect((await readdir(join(target, 'data'))).sort()).toEqual(['run.json', 'theirs.json']);
    expect(await readFile(join(target, 'data', 'run.json'), 'utf8')).toBe('2');
  });

  it('writes the page last, and after a broken attempt trusts nothing that it was about to replace', async () => {
    const target = join(folder, 'broken');
    const before = { 'index.html': 'old page', 'app.js': 'old', 'data/a.json': 'old', 'data/b.json': 'old' };
    await publishSite(site(before), target);
    // Readable while it is compared, then gone: the attempt breaks off after data/a.json.
    const reads = new Map<string, number>();
    const failing = site({ 'index.html': 'new page', 'app.js': 'new', 'data/a.json': 'new', 'data/b.json': 'new' });
    failing.set('app.js', async () => {
      reads.set('app.js', (reads.get('app.js') ?? 0) + 1);
      if (reads.get('app.js')! > 1) throw new Error('the disk is gone');
      return Buffer.from('new');
    });
    await expect(publishSite(failing, target)).rejects.toThrow('the disk is gone');
    expect(await readFile(join(target, 'index.html'), 'utf8')).toBe('old page');
    expect(await readFile(join(target, 'data', 'a.json'), 'utf8')).toBe('new');
    expect(await publishSite(site(before), target)).toMatchObject({ sent: 4, unchanged: 0 });
    for (const [name, content] of Object.entries(before)) expect(await readFile(join(target, name), 'utf8')).toBe(content);
  });

  it('sends a file again that somebody deleted, and names a record that it did not write', async () => {
    const target = join(folder, 'damaged');
    await publishSite(site({ 'index.html': 'a', 'data/run.json': '1' }), target);
    rmSync(join(target, 'data', 'run.json'));
    expect(await publishSite(site({ 'index.html': 'a', 'data/run.json': '1' }), target)).toMatchObject({ sent: 1, unchanged: 1 });
    await writeFile(join(target, 'saeflow-published.json'), '{"files":[]}');
    await expect(publishSite(site({ 'index.html': 'a' }), target)).rejects.toThrow(UserError);
  });
});
