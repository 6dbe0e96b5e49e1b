import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, open, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openStore } from '../../data/artifactStore.ts';
import { DirectoryStore, explainWriteError } from '../../data/directoryStore.ts';
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
  describeStoreContract(freshFolder);

  it('leaves no temporary file behind, also when it lost a race', async () => {
    const folder = freshFolder();
    const store = openStore(folder);
    await store.put('a', new Uint8Array(3));
    await store.putIfAbsent('a', new Uint8Array(4));
    expect(await readdir(folder)).toEqual(['a']);
  });

  it('does not list what a dead writer left, and removes it once it is old', async () => {
    const folder = freshFolder();
    const store = new DirectoryStore(folder);
    await store.put('stage/a', new Uint8Array(1));
    const hourAgo = new Date(Date.now() - 3_600_000);
    await writeFile(join(folder, 'stage', '.tmp-999-old'), 'half');
    await utimes(join(folder, 'stage', '.tmp-999-old'), hourAgo, hourAgo);
    await writeFile(join(folder, 'stage', '.tmp-999-new'), 'half');
    expect((await store.list('')).map(({ path }) => path)).toEqual(['stage/a']);
    expect(await store.removeStrayTemporaries(1_800_000)).toBe(1);
    expect((await readdir(join(folder, 'stage'))).sort()).toEqual(['.tmp-999-new', 'a']);
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
