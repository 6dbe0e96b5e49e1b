import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, open, readdir, rm, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openStore } from '../../data/artifactStore.ts';
import { explainWriteError } from '../../data/directoryStore.ts';
import { UserError } from '../../schemas/errors.ts';
import { describeStoreContract } from './storeContract.ts';

let scratch: string;
let folders = 0;
const freshFolder = (): string => join(scratch, `store ${folders++}`, 'inner');

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'saeflow-directory-store-'));
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

describe('DirectoryStore', () => {
  describeStoreContract(freshFolder, async (uri, folder, bytes) => {
    await mkdir(join(uri, folder), { recursive: true });
    await writeFile(join(uri, folder, `.tmp-999-${bytes}`), Buffer.alloc(bytes));
  });

  it('leaves no temporary file behind, also when it lost a race', async () => {
    const folder = freshFolder();
    const store = openStore(folder);
    await store.put('a', new Uint8Array(3));
    await store.putIfAbsent('a', new Uint8Array(4));
    expect(await readdir(folder)).toEqual(['a']);
  });

  it('throws nothing away as a temporary file that is none, or that is elsewhere', async () => {
    const folder = freshFolder();
    const store = openStore(folder);
    await store.put('stage/a', new Uint8Array(1));
    const write = { bytes: 1, modifiedAt: new Date(), uploadId: '' };
    for (const path of ['stage/a', '../.tmp-1-x', 'stage/../../.tmp-1-x', '.tmp-1-x/a']) await expect(store.deleteUnfinished({ ...write, path })).rejects.toThrow(TypeError);
    expect(await readdir(join(folder, 'stage'))).toEqual(['a']);
  });

  it('leaves a temporary file when its writer is killed in the middle of a put, and finds it', async () => {
    const folder = freshFolder();
    const writer = `
      import { openStore } from ${JSON.stringify(pathToFileURL(join(import.meta.dirname, '../../data/artifactStore.ts')).href)};
      const store = openStore(${JSON.stringify(folder)});
      for (;;) await store.put('stage/object', new Uint8Array(50_000_000));`;
    const store = openStore(folder);
    let left = await store.listUnfinished();
    // A kill can fall between two puts; their 50 MB make that rare.
    while (left.length === 0) {
      const child = execFile(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', writer]);
      const died = new Promise((done) => child.on('exit', done));
      while ((await store.listUnfinished()).length === 0) await new Promise((done) => setTimeout(done, 5));
      child.kill('SIGKILL');
      await died;
      left = await store.listUnfinished();
    }
    const [write] = left;
    expect(write!.path).toMatch(/^stage\/\.tmp-/);
    await store.deleteUnfinished(write!);
    expect(await store.listUnfinished()).toEqual([]);
  });

  it('keeps an object whole when its writer is killed while replacing it', async () => {
    const folder = freshFolder();
    const store = openStore(folder);
    await store.put('object', new Uint8Array(5_000_000).fill(7));
    const writer = `
      import { openStore } from ${JSON.stringify(pathToFileURL(join(import.meta.dirname, '../../data/artifactStore.ts')).href)};
      const store = openStore(${JSON.stringify(folder)});
      for (let i = 0; ; i++) {
        await store.put('object', new Uint8Array(5_000_000).fill(i % 256));
        process.stdout.write('.');
      }`;
    const child = execFile(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', writer]);
    const died = new Promise((done) => child.on('exit', done));
    for (let written = 0; written < 3; written++) await new Promise((done) => child.stdout!.once('data', done));
    child.kill('SIGKILL');
    await died;
    const object = await store.get('object');
    expect(object).toHaveLength(5_000_000);
    expect(object.every((byte) => byte === object[0])).toBe(true);
  });

  it('says on a full disk which folder, how many bytes are needed and free', async () => {
    const full = await open('/dev/full', 'w');
    const error = await full.write('x').catch((reason: unknown) => reason);
    await full.close();
    const explained = await explainWriteError(error, scratch, 12_345);
    expect(explained).toBeInstanceOf(UserError);
    expect((explained as UserError).message).toMatch(new RegExp(`^${scratch}: no room to write 12345 bytes; \\d+ bytes are free \\(ENOSPC\\)$`));
  });

  it('cleans up after itself when the disk refuses more bytes', async () => {
    const folder = freshFolder();
    const program = `
      import { openStore } from ${JSON.stringify(pathToFileURL(join(import.meta.dirname, '../../data/artifactStore.ts')).href)};
      await openStore(${JSON.stringify(folder)}).put('big', new Uint8Array(5_000_000)).catch((error) => console.log(error.name + ': ' + error.message));`;
    const { stdout } = await promisify(execFile)('sh', ['-c', 'ulimit -f 1024; exec "$0" "$@"', process.execPath, '--import', 'tsx', '--input-type=module', '-e', program]);
    expect(stdout).toContain(`UserError: ${folder}: no room to write 5000000 bytes`);
    expect(await readdir(folder)).toEqual([]);
  });

  it('says that a file stands where its folder should be', async () => {
    await writeFile(join(scratch, 'a-file'), '');
    const store = openStore(join(scratch, 'a-file'));
    await expect(store.put('x', new Uint8Array(1))).rejects.toThrow(UserError);
    await expect(store.putIfAbsent('x', new Uint8Array(1))).rejects.toThrow(UserError);
  });

  it('survives a folder that is deleted while objects are put into it', async () => {
    const store = openStore(freshFolder());
    const puts = Array.from({ length: 40 }, (_, i) => store.put(`busy/${i}/x`, new Uint8Array(10)));
    const deletions = Array.from({ length: 10 }, () => store.deletePrefix('busy/'));
    await expect(Promise.all([...puts, ...deletions])).resolves.toBeDefined();
  });
});

describe('openStore', () => {
  it('opens folders and file URLs, names with spaces too', async () => {
    const folder = join(scratch, 'with space');
    await mkdir(folder);
    await openStore(pathToFileURL(folder).href).put('a', Uint8Array.of(1));
    expect(await openStore(`${folder}/`).get('a')).toEqual(Uint8Array.of(1));
    expect(openStore(`${folder}/`).uri).toBe(folder);
  });

  it.each(['relative/folder', '', 's3://', 's3://UPPER/x', 's3://bucket/../other', 's3://bucket//x', 'gs://bucket/x', 'file://host/x', 'http://127.0.0.1/x'])('refuses %j', (uri) => {
    expect(() => openStore(uri)).toThrow(UserError);
  });
});

describe('free space', () => {
  it('is that of the disk on which the folder will be, before it is made', async () => {
    const { bavail, bsize } = await statfs(tmpdir());
    const free = await openStore(join(tmpdir(), 'saeflow-not-made-yet', 'store')).freeBytes();
    expect(Math.abs(free! - bavail * bsize)).toBeLessThan(0.5 * bavail * bsize);
  });
});
