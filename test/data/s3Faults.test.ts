// The S3 store when S3 misbehaves: a real server, killed and started again, behind a proxy that slows it down, breaks
// connections, loses answers and cuts bodies short.
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { openStore, type ArtifactStore } from '../../data/artifactStore.ts';
import { deleteGarbage, findGarbage } from '../../data/garbage.ts';
import { RemoteTrouble } from '../../data/patience.ts';
import { UserError } from '../../schemas/errors.ts';
import { ensureS3Server, startS3Process, type RunningS3Server } from '../../setup/s3Server.ts';
import { startFaultyS3Proxy, type Fault, type FaultyS3Proxy } from './faultyS3Proxy.ts';

const bucket = 'saeflow-faults';
const mebibyte = 2 ** 20;
let folder: string;
let server: RunningS3Server;
let proxy: FaultyS3Proxy;
let stores = 0;

// The server is built on first use: several minutes on a machine whose set-up has not run.
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'saeflow-s3-faults-'));
  proxy = await startFaultyS3Proxy(0);
  await proxy.stop();
  server = await startS3Process(await ensureS3Server(), { folder, bucket, port: proxy.port });
  proxy = await startFaultyS3Proxy(proxy.port);
  Object.assign(process.env, server.env, { AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${proxy.port}` });
}, 1_200_000);
afterEach(() => {
  proxy.fault = () => undefined;
  proxy.faults = 0;
});
afterAll(async () => {
  await proxy.stop();
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

const fresh = (): ArtifactStore => openStore(`s3://${bucket}/store-${stores++}`);
const hashOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
/** Bytes that repeat nowhere near. */
const bytesOf = (length: number) => Uint8Array.from({ length }, (_, index) => (index * 2_654_435_761) >>> 24);
/** The first `times` requests whose line matches. */
const firstly = (times: number, pattern: RegExp, fault: Fault) => {
  let left = times;
  proxy.fault = (line) => (pattern.test(line) && left-- > 0 ? fault : undefined);
};
const failure = (work: Promise<unknown>) => work.then(() => undefined, (error: unknown) => error as Error);
const slowDown = { status: 503, code: 'SlowDown' };
const limit = 120_000;

async function killServer(): Promise<void> {
  process.kill(server.pid, 'SIGKILL');
  await server.stop();
}

async function startServer(): Promise<void> {
  server = await startS3Process(await ensureS3Server(), { folder, bucket, port: Number(new URL(server.endpoint).port) });
}

describe('S3Store', () => {
  // The SDK's pauses after a slow-down are longer.
  it.each<[string, Fault, number]>([['503 SlowDown', slowDown, 2], ['500 InternalError', { status: 500, code: 'InternalError' }, 5], ['a reset connection', 'reset', 5]])('outlasts %s, several times in a row, whatever it is doing', async (_, fault, times) => {
    const store = fresh();
    for (const work of [
      () => store.put('a', Uint8Array.of(1)),
      () => store.get('a'),
      () => store.range('a', 0, 1),
      () => store.size('a'),
      () => store.list(''),
      () => store.putIfAbsent('b', Uint8Array.of(2)),
      () => store.listUnfinished(),
      () => store.delete('a'),
    ]) {
      firstly(times, /./, fault);
      await work();
    }
    expect(proxy.faults).toBe(8 * times);
    expect((await store.list('')).map(({ path }) => path)).toEqual(['b']);
  }, limit);

  it('tells of a server that stays slow with the object and the reason, as what a retry may mend', async () => {
    process.env['AWS_MAX_ATTEMPTS'] = '2';
    const store = fresh();
    proxy.fault = () => slowDown;
    const error = await failure(store.put('shards/00001.parquet', Uint8Array.of(1)));
    delete process.env['AWS_MAX_ATTEMPTS'];
    expect(proxy.faults).toBe(2);
    expect(error).toBeInstanceOf(RemoteTrouble);
    expect(error!.message).toBe(`${store.uri}/shards/00001.parquet: SlowDown: injected`);
  }, limit);

  it('reads on where bodies are cut short, whole objects and ranges', async () => {
    const store = fresh();
    const bytes = bytesOf(3 * mebibyte);
    await store.put('x', bytes);
    firstly(3, /^GET/, { cutAfter: mebibyte });
    expect(hashOf(await store.get('x'))).toBe(hashOf(bytes));
    firstly(3, /^GET/, { cutAfter: 1_000 });
    expect(hashOf(await store.range('x', 500_000, 2 * mebibyte))).toBe(hashOf(bytes.subarray(500_000, 500_000 + 2 * mebibyte)));
    firstly(3, /^GET/, { cutAfter: mebibyte });
    const room = new Uint8Array(2 * mebibyte);
    expect((await store.range('x', 500_000, 2 * mebibyte, room)).buffer).toBe(room.buffer);
    expect(hashOf(room)).toBe(hashOf(bytes.subarray(500_000, 500_000 + 2 * mebibyte)));
    expect(proxy.faults).toBe(9);
    proxy.fault = (line) => (line.startsWith('GET') ? { cutAfter: 1_000 } : undefined);
    const error = await failure(store.get('x'));
    expect(error).toBeInstanceOf(RemoteTrouble);
    expect(error!.message).toContain(`${store.uri}/x: `);
  }, limit);

  it('uploads in parts through lost answers and slow-downs, and leaves no part behind', async () => {
    const store = fresh();
    const bytes = bytesOf(100 * mebibyte);
    let parts = 0;
    proxy.fault = (line) => (line.startsWith('PUT') && line.includes('partNumber') ? [slowDown, undefined, 'loseAnswer' as const, undefined, 'reset' as const][parts++] : undefined);
    expect(await store.put('large', bytes)).toEqual({ sha256: hashOf(bytes), bytes: bytes.length });
    expect(proxy.faults).toBe(3);
    proxy.fault = () => undefined;
    expect(hashOf(await store.get('large'))).toBe(hashOf(bytes));
    expect(await store.listUnfinished()).toEqual([]);
  }, limit);

  it('that gives an upload up aborts it: no object, no parts', async () => {
    const store = fresh();
    proxy.fault = (line) => (line.includes('partNumber=2') ? { status: 403, code: 'AccessDenied' } : undefined);
    await expect(store.put('large', new Uint8Array(70 * mebibyte))).rejects.toThrow('access to large is refused');
    proxy.fault = () => undefined;
    expect(await store.listUnfinished()).toEqual([]);
    const failing = async function* () {
      for (let piece = 0; piece < 9; piece++) yield await Promise.resolve(new Uint8Array(8 * mebibyte));
      throw new RangeError('no more');
    };
    await expect(store.putPieces('pieces', failing())).rejects.toThrow(new RangeError('no more'));
    expect(await store.listUnfinished()).toEqual([]);
    expect(await store.list('')).toEqual([]);
  }, limit);

  it('goes on with an upload whose server is killed in the middle and comes back', async () => {
    const store = fresh();
    const piece = bytesOf(8 * mebibyte);
    const pieces = async function* () {
      for (let index = 0; index < 16; index++) {
        if (index === 9) {
          await killServer();
          // the parts on their way fail first
          setTimeout(() => void startServer(), 1_000);
        }
        yield piece;
      }
    };
    const { sha256, bytes } = await store.putPieces('large', pieces());
    expect(bytes).toBe(16 * piece.length);
    expect(hashOf(await store.get('large'))).toBe(sha256);
    expect(await store.listUnfinished()).toEqual([]);
  }, limit);

  it('of an upload whose server died and stayed away keeps no object, and gc removes its parts', async () => {
    const store = fresh();
    const path = `tokenize/${'a'.repeat(64)}/shards/00000.train.bin`;
    const pieces = async function* () {
      for (let index = 0; index < 16; index++) {
        // one part is up by then: the first is sent while the next is filled
        if (index === 12) {
          while (!(await store.listUnfinished())[0]?.bytes) await new Promise((done) => setTimeout(done, 50));
          await killServer();
        }
        yield new Uint8Array(8 * mebibyte);
      }
    };
    const error = await failure(store.putPieces(path, pieces()));
    expect(error).toBeInstanceOf(RemoteTrouble);
    await startServer();
    expect(await store.exists(path)).toBe(false);
    const search = { olderThanMs: 0, inUse: () => false, nowMs: Date.now() + 1_000 };
    const { garbage } = await findGarbage(store, search);
    expect(garbage).toMatchObject([{ kind: 'temporary', path }]);
    expect(garbage[0]!.bytes).toBeGreaterThan(0);
    expect(await deleteGarbage(store, garbage)).toHaveLength(1);
    expect(await store.listUnfinished()).toEqual([]);
  }, limit);

  it('puts if absent once, also where the first answer is lost', async () => {
    const store = fresh();
    firstly(1, /^PUT/, 'loseAnswer');
    // that it was this very call which won is lost with the answer
    expect(await store.putIfAbsent('manifest.json', Uint8Array.of(1))).toBe(false);
    expect(await store.get('manifest.json')).toEqual(Uint8Array.of(1));
    expect(await store.putIfAbsent('manifest.json', Uint8Array.of(2))).toBe(false);
    expect(await store.get('manifest.json')).toEqual(Uint8Array.of(1));
  }, limit);

  it.each([[400, 'ExpiredToken'], [403, 'ExpiredTokenException'], [400, 'TokenRefreshRequired']])('says of credentials that have expired (%i %s) what to do, and that a retry is no use', async (status, code) => {
    const store = fresh();
    proxy.fault = () => ({ status, code });
    const error = await failure(store.put('a', Uint8Array.of(1)));
    expect(error).toBeInstanceOf(UserError);
    expect(error!.message).toContain('the S3 credentials have expired');
    expect((error as UserError).remedy).toContain('AWS_SESSION_TOKEN');
  }, limit);

  it('works with a clock that is an hour wrong, as the server tells the time', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 3_600_000 });
    try {
      const store = fresh();
      await store.put('a', Uint8Array.of(1));
      expect(await store.get('a')).toEqual(Uint8Array.of(1));
    } finally {
      vi.useRealTimers();
    }
  }, limit);

  it('names the clock where the server goes on refusing it', async () => {
    proxy.fault = () => ({ status: 403, code: 'RequestTimeTooSkewed' });
    const error = await failure(fresh().get('a'));
    expect(error).toBeInstanceOf(UserError);
    expect(error!.message).toContain("differs too much from the server's");
    expect((error as UserError).remedy).toContain('clock');
  }, limit);
});
