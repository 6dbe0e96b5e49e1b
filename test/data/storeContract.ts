// What every artifact store must do, run against the folder and against a real S3 server.
import { createHash, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { NotFoundError, openStore, type ArtifactStore } from '../../data/artifactStore.ts';

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

/** `freshUri` gives the URI of an empty store; `beginWrite` leaves a write of some bytes below a folder of it unended, as a writer that dies does. */
export function describeStoreContract(freshUri: () => string | Promise<string>, beginWrite: (uri: string, folder: string, bytes: number) => Promise<void>): void {
  const fresh = async (): Promise<ArtifactStore> => openStore(await freshUri());

  describe('as an artifact store', () => {
    it('gives back what was put, with its SHA-256 and size, and replaces it', async () => {
      const store = await fresh();
      expect(await store.put('tokenize/ab/x.bin', text('first'))).toEqual({ sha256: createHash('sha256').update('first').digest('hex'), bytes: 5 });
      expect(await store.get('tokenize/ab/x.bin')).toEqual(text('first'));
      await store.put('tokenize/ab/x.bin', text('second, longer'));
      expect(await store.get('tokenize/ab/x.bin')).toEqual(text('second, longer'));
      expect(await store.size('tokenize/ab/x.bin')).toBe(14);
      expect(await openStore(store.uri).get('tokenize/ab/x.bin')).toEqual(text('second, longer'));
    });

    it('holds empty objects, and puts a view of a larger buffer as the view it is', async () => {
      const store = await fresh();
      await store.put('empty', new Uint8Array(0));
      expect(await store.get('empty')).toHaveLength(0);
      expect(await store.range('empty', 0, 0)).toHaveLength(0);
      await store.put('view', text('0123456789').subarray(3, 6));
      expect(await store.get('view')).toEqual(text('345'));
    });

    it('stores what pieces make up, small and large ones, as they would be in one', async () => {
      const store = await fresh();
      const large = Uint8Array.from({ length: 40 * 2 ** 20 }, (_, index) => index * 7 + (index >> 12));
      for (const pieces of [[], [new Uint8Array(0)], [text('a'), new Uint8Array(0), text('bc')], [text('head'), large.subarray(0, 5_000_001), large.subarray(5_000_001), text('tail')]]) {
        const whole = Buffer.concat(pieces);
        const later = (async function* () {
          for (const piece of pieces) yield await Promise.resolve(piece);
        })();
        for (const given of [pieces, later]) {
          expect(await store.putPieces('pieces/x', given)).toEqual({ sha256: createHash('sha256').update(whole).digest('hex'), bytes: whole.length });
          expect(Buffer.from(await store.get('pieces/x')).equals(whole)).toBe(true);
        }
      }
    });

    it('stores nothing of pieces that end in an error, which it throws', async () => {
      const store = await fresh();
      const failing = function* () {
        yield new Uint8Array(5 * 2 ** 20);
        throw new RangeError('no more');
      };
      await expect(store.putPieces('pieces/x', failing())).rejects.toThrow(new RangeError('no more'));
      expect(await store.list('')).toEqual([]);
    });

    it('reads ranges, and refuses one that passes the end', async () => {
      const store = await fresh();
      await store.put('a/b', text('0123456789'));
      expect(await store.range('a/b', 0, 4)).toEqual(text('0123'));
      expect(await store.range('a/b', 7, 3)).toEqual(text('789'));
      expect(await store.range('a/b', 10, 0)).toHaveLength(0);
      await expect(store.range('a/b', 8, 3)).rejects.toThrow(RangeError);
      await expect(store.range('a/b', 10, 1)).rejects.toThrow(RangeError);
      await expect(store.range('a/b', 11, 0)).rejects.toThrow(RangeError);
      await expect(store.range('a/b', -1, 2)).rejects.toThrow(RangeError);
    });

    it('reads ranges into memory that is there, small and large ones, and not a byte beside it', async () => {
      const store = await fresh();
      const large = Buffer.alloc(65 * 2 ** 20, randomBytes(4_099));
      await store.put('a/b', large);
      for (const [start, length] of [[0, 1], [5, 1_000], [33, 3 * 2 ** 20 + 1], [0, large.length]] as const) {
        const memory = new Uint8Array(length + 20).fill(0xaa);
        const read = await store.range('a/b', start, length, memory.subarray(10, 10 + length));
        expect(read.buffer).toBe(memory.buffer);
        expect([read.byteOffset, read.length]).toEqual([10, length]);
        expect(Buffer.from(read.buffer, 10, length).equals(large.subarray(start, start + length))).toBe(true);
        expect([...memory.subarray(0, 10), ...memory.subarray(10 + length)]).toEqual(Array<number>(20).fill(0xaa));
      }
      await expect(store.range('a/b', large.length - 5, 10, new Uint8Array(10))).rejects.toThrow(RangeError);
    });

    it('says NotFoundError for what is not there, whatever is asked of it', async () => {
      const store = await fresh();
      await store.put('folder/file', text('x'));
      for (const path of ['missing', 'folder/missing', 'folder', 'no/such/folder']) {
        await expect(store.get(path)).rejects.toThrow(NotFoundError);
        await expect(store.size(path)).rejects.toThrow(NotFoundError);
        await expect(store.range(path, 0, 1)).rejects.toThrow(NotFoundError);
        await expect(store.range(path, 0, 0)).rejects.toThrow(NotFoundError);
        expect(await store.exists(path)).toBe(false);
      }
      expect(await store.exists('folder/file')).toBe(true);
      await store.delete('missing');
      await store.delete('no/such/folder');
      await store.deletePrefix('no/such');
    });

    it('lists by prefix, sorted, with sizes', async () => {
      const store = await fresh();
      expect(await store.list('')).toEqual([]);
      for (const path of ['b/2', 'a/10', 'a/9', 'a/nested/deep/x', 'ab/1', 'a-b']) await store.put(path, text(path));
      const paths = async (prefix: string): Promise<string[]> => (await store.list(prefix)).map(({ path }) => path);
      expect(await paths('')).toEqual(['a-b', 'a/10', 'a/9', 'a/nested/deep/x', 'ab/1', 'b/2']);
      expect(await paths('a/')).toEqual(['a/10', 'a/9', 'a/nested/deep/x']);
      expect(await paths('a')).toEqual(['a-b', 'a/10', 'a/9', 'a/nested/deep/x', 'ab/1']);
      expect(await paths('a/n')).toEqual(['a/nested/deep/x']);
      expect(await paths('zzz/')).toEqual([]);
      expect(await store.list('a/1')).toMatchObject([{ path: 'a/10', bytes: 4 }]);
    });

    it('says when objects were written, so that old ones can be told from new ones', async () => {
      const store = await fresh();
      await store.put('first', text('x'));
      await new Promise((done) => setTimeout(done, 1_100));
      await store.put('second', text('x'));
      const [first, second] = await store.list('');
      expect(second!.modifiedAt.getTime()).toBeGreaterThan(first!.modifiedAt.getTime());
      expect(Math.abs(second!.modifiedAt.getTime() - Date.now())).toBeLessThan(60_000);
    });

    it('knows writes that never ended, which are no objects, and throws away the one that is named', async () => {
      const uri = await freshUri();
      const store = openStore(uri);
      await store.put('stage/key/whole', text('whole'));
      expect(await store.listUnfinished()).toEqual([]);
      await beginWrite(uri, 'stage/key', 70_000);
      await beginWrite(uri, 'stage/other', 50);
      const writes = await store.listUnfinished();
      expect(writes.map(({ path, bytes }) => [path.split('/').slice(0, 2).join('/'), bytes])).toEqual([['stage/key', 70_000], ['stage/other', 50]]);
      for (const { modifiedAt } of writes) expect(Math.abs(modifiedAt.getTime() - Date.now())).toBeLessThan(60_000);
      expect((await store.list('')).map(({ path }) => path)).toEqual(['stage/key/whole']);

      await store.deleteUnfinished(writes[0]!);
      await store.deleteUnfinished(writes[0]!);
      expect(await store.listUnfinished()).toEqual([writes[1]]);
      expect(await store.get('stage/key/whole')).toEqual(text('whole'));
    });

    it('deletes one object, or all below a prefix, and can write there again', async () => {
      const store = await fresh();
      for (const path of ['a/1', 'a/2', 'a/b/3', 'ab/4']) await store.put(path, text(path));
      await store.delete('a/1');
      expect(await store.exists('a/1')).toBe(false);
      await store.deletePrefix('a/');
      expect((await store.list('')).map(({ path }) => path)).toEqual(['ab/4']);
      await store.put('a/b/3', text('again'));
      expect(await store.get('a/b/3')).toEqual(text('again'));
      await expect(store.deletePrefix('')).rejects.toThrow(TypeError);
    });

    it('lets exactly one of 8 racing clients put if absent, and readers see only its bytes', async () => {
      const uri = await freshUri();
      const clients = Array.from({ length: 8 }, () => openStore(uri));
      for (let name = 0; name < 12; name++) {
        const path = `race/${name}`;
        const won = await Promise.all(clients.map((client, i) => client.putIfAbsent(path, text(`client ${i}`))));
        expect(won.filter(Boolean)).toHaveLength(1);
        expect(await clients[0]!.get(path)).toEqual(text(`client ${won.indexOf(true)}`));
        expect(await clients[1]!.putIfAbsent(path, text('late'))).toBe(false);
      }
      expect(await clients[0]!.list('race/')).toHaveLength(12);
    });

    it('never shows half an object while it is replaced', async () => {
      const store = await fresh();
      const versions = [new Uint8Array(300_000).fill(1), new Uint8Array(300_000).fill(2)];
      await store.put('big', versions[0]!);
      let writing = true;
      const writer = (async () => {
        for (let i = 1; i <= 10; i++) await store.put('big', versions[i % 2]!);
        writing = false;
      })();
      while (writing) {
        const seen = await store.get('big');
        expect(seen).toHaveLength(300_000);
        expect(seen[0] === seen[seen.length - 1] && seen[0] === seen[150_000]).toBe(true);
      }
      await writer;
    });

    it('holds objects above 32 MiB (multipart on S3) and reads ranges of them', async () => {
      const store = await fresh();
      const large = new Uint8Array(70 * 2 ** 20);
      for (let i = 0; i < large.length; i += 4099) large[i] = i % 251;
      const { sha256 } = await store.put('large.bin', large);
      expect(await store.size('large.bin')).toBe(large.length);
      const back = await store.get('large.bin');
      expect(createHash('sha256').update(back).digest('hex')).toBe(sha256);
      const start = 33 * 2 ** 20 - 5;
      expect(Buffer.compare(await store.range('large.bin', start, 10_000), large.subarray(start, start + 10_000))).toBe(0);
    });

    it.each(['', '/etc/passwd', '../x', 'a/../b', 'a//b', './a', 'a/', 'a\0b', 'a\\b', '.tmp-1-x'])('refuses the path %j', async (path) => {
      const store = await fresh();
      await expect(store.put(path, text('x'))).rejects.toThrow(TypeError);
      await expect(store.get(path)).rejects.toThrow(TypeError);
      await expect(store.delete(path)).rejects.toThrow(TypeError);
      expect(await store.list('')).toEqual([]);
    });
  });
}
