// Large files past the system's cache: the same bytes however they are cut, where the disk offers it and where it does not.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openStore } from '../../data/artifactStore.ts';
import { memoryKernel, registerMemoryKernel, type MemoryKernel } from '../../data/memoryKernel.ts';
import { openSaeKernel } from '../../workers/saeKernel.ts';

const kernel = openSaeKernel(2, {})!.memory;
const slab = 4 * 2 ** 20;
const bytes = Buffer.alloc(6 * slab);
for (let at = 0; at < bytes.length; at += 4) bytes.writeUInt32LE(Math.imul(at, 2_654_435_761) >>> 0, at);

let scratch: string;
const folders: string[] = [];
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'saeflow-direct-'));
  folders.push(join(scratch, 'store'));
  // memory, which on older systems can't be written in this way
  if (existsSync('/dev/shm')) folders.push(await mkdtemp('/dev/shm/saeflow-direct-'));
});
afterAll(async () => {
  registerMemoryKernel(undefined);
  await Promise.all([scratch, ...folders].map((folder) => rm(folder, { recursive: true, force: true })));
});

/** Kernels a file may be written with: none, the real one, and one whose memory no disk takes. */
const kernels: Record<string, MemoryKernel | undefined> = { 'through the cache': undefined, 'past the cache': kernel, 'refused by the system': { alignedAt: (room, alignment) => (kernel.alignedAt(room, alignment) + 1) % alignment } };

describe.each(Object.keys(kernels))('a large file, %s', (name) => {
  beforeAll(() => registerMemoryKernel(kernels[name]));

  it('holds its pieces, of any sizes around those of a page and of what is written at once', async () => {
    const near = (size: number) => fc.integer({ min: size - 3, max: size + 3 });
    const size = fc.oneof(fc.nat(5_000), near(4_096), near(slab), near(slab + 4_096), near(2 * slab));
    await fc.assert(
      fc.asyncProperty(fc.array(size, { maxLength: 5 }), fc.constantFrom(...folders), async (sizes, folder) => {
        const pieces = sizes.map((length, index) => bytes.subarray(index * 1_000, index * 1_000 + length));
        const whole = Buffer.concat(pieces);
        const stored = await openStore(folder).putPieces('object', pieces);
        expect(stored).toEqual({ bytes: whole.length, sha256: createHash('sha256').update(whole).digest('hex') });
        expect((await readFile(join(folder, 'object'))).equals(whole)).toBe(true);
        expect(await readdir(folder)).toEqual(['object']);
      }),
      { numRuns: 12 },
    );
  });

  it('is not there, and nothing of it, when its pieces fail', async () => {
    const store = openStore(join(scratch, `failed ${name}`));
    const failing = (function* () {
      yield bytes;
      throw new Error('the model is at fault');
    })();
    await expect(store.putPieces('object', failing)).rejects.toThrow('the model is at fault');
    expect(await readdir(store.uri)).toEqual([]);
  });
});

it('says on a disk that refuses more bytes what was needed, and leaves nothing', async () => {
  const folder = join(scratch, 'full');
  const module = (path: string) => JSON.stringify(pathToFileURL(join(import.meta.dirname, '../..', path)).href);
  const program = `
    import { openStore } from ${module('data/artifactStore.ts')};
    import { registerNativeSaeKernel } from ${module('workers/saeKernel.ts')};
    registerNativeSaeKernel(1);
    await openStore(${JSON.stringify(folder)}).put('big', new Uint8Array(30_000_000)).catch((error) => console.log(error.name + ': ' + error.message));`;
  const { stdout } = await promisify(execFile)('sh', ['-c', 'ulimit -f 20000; exec "$0" "$@"', process.execPath, '--import', 'tsx', '--input-type=module', '-e', program]);
  expect(stdout).toContain(`UserError: ${folder}: no room to write 30000000 bytes`);
  expect(await readdir(folder)).toEqual([]);
});

it('memory is found where pages begin', () => {
  registerMemoryKernel(kernel);
  expect(memoryKernel()).toBe(kernel);
  const room = new Uint8Array(3 * 4_096);
  const at = kernel.alignedAt(room, 4_096);
  expect(kernel.alignedAt(room.subarray(at), 4_096)).toBe(0);
  expect(kernel.alignedAt(room.subarray(at + 1), 4_096)).toBe(4_095);
  expect(() => kernel.alignedAt(new Uint16Array(8) as unknown as Uint8Array, 4_096)).toThrow('argument 1 is not a typed array of the right kind');
});
