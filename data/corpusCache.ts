// Files fetched whole from far away, by their content: a Parquet file is read from several places at once, and a file
// that a second run needs should not come over the network twice. Least recently used ones go when the space is used up.
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat, utimes, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '../schemas/errors.ts';
import { readSource, type CorpusSource } from './corpusSource.ts';
import { corpusCacheDir } from './demoCorpus.ts';
import type { Patience } from './patience.ts';

const defaultLimitBytes = 20e9;
/** What a killed process left half done. */
const abandonedMs = 24 * 3_600_000;

/** One download a file in this process, however many ask. */
const underWay = new Map<string, Promise<void>>();

/**
 * A file's content out of the cache, fetched and checked first if it isn't there. Deleting it from the cache does not
 * disturb who has it open.
 *
 * @returns undefined if the cache may not or cannot hold the file, or its SHA-256 is not known.
 * @throws UserError, ChangedContent, RemoteTrouble as readSource.
 */
export async function openCached(source: CorpusSource, patience: Patience): Promise<FileHandle | undefined> {
  const { expected } = source;
  const limitBytes = cacheLimitBytes();
  if (expected === undefined || expected.sha256 === null || expected.bytes > limitBytes) return undefined;
  const folder = join(corpusCacheDir(), 'files');
  const file = join(folder, expected.sha256);
  for (let attempt = 1; ; attempt++) {
    const handle = await openSound(file, expected.sha256);
    if (handle !== undefined) return handle;
    // Twice: another process may make room by deleting what was just fetched.
    if (attempt > 2 || !(await fetchOnce(source, folder, file, limitBytes, patience))) return undefined;
  }
}

function cacheLimitBytes(): number {
  const given = process.env['SAEFLOW_CORPUS_CACHE_BYTES'];
  if (given === undefined || given === '') return defaultLimitBytes;
  const bytes = Number(given);
  if (Number.isFinite(bytes) && bytes >= 0) return bytes;
  throw new UserError(`SAEFLOW_CORPUS_CACHE_BYTES is "${given}", not a number of bytes`, 'Use a number such as 20000000000, or 0 to keep no corpus files.');
}

/** The cached file if its content is what its name says; a damaged one is deleted. */
async function openSound(file: string, sha256: string): Promise<FileHandle | undefined> {
  const handle = await open(file, 'r').catch(() => undefined);
  if (handle === undefined) return undefined;
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file, { fd: handle.fd, autoClose: false, start: 0, highWaterMark: 2 ** 20 })) hash.update(chunk as Buffer);
  if (hash.digest('hex') === sha256) {
    const now = new Date();
    await utimes(file, now, now).catch(() => undefined);
    return handle;
  }
  await handle.close();
  await rm(file, { force: true });
  return undefined;
}

/** False when the disk has no room. */
async function fetchOnce(source: CorpusSource, folder: string, file: string, limitBytes: number, patience: Patience): Promise<boolean> {
  let fetching = underWay.get(file);
  if (fetching === undefined) {
    fetching = fetchTo(source, folder, file, limitBytes, patience).finally(() => underWay.delete(file));
    underWay.set(file, fetching);
  }
  try {
    await fetching;
    return true;
  } catch (error) {
    if (['ENOSPC', 'EDQUOT', 'EROFS', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  }
}

async function fetchTo(source: CorpusSource, folder: string, file: string, limitBytes: number, patience: Patience): Promise<void> {
  await mkdir(folder, { recursive: true });
  await makeRoom(folder, limitBytes - (source.expected?.bytes ?? 0));
  const partial = `${file}.${randomUUID()}.partial`;
  try {
    const handle = await open(partial, 'wx');
    try {
      for await (const chunk of readSource(source, 0, undefined, patience)) await handle.write(chunk);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(partial, file);
  } finally {
    await rm(partial, { force: true });
  }
}

/** Deletes the least recently used files until the others have at most `bytes`. */
async function makeRoom(folder: string, bytes: number): Promise<void> {
  const found = await Promise.all((await readdir(folder)).map(async (name) => ({ path: join(folder, name), info: await stat(join(folder, name)).catch(() => undefined) })));
  const files = found.flatMap(({ path, info }) => (info === undefined ? [] : [{ path, bytes: info.size, usedMs: info.mtimeMs }]));
  let held = files.reduce((sum, file) => sum + file.bytes, 0);
  for (const file of files.sort((a, b) => a.usedMs - b.usedMs)) {
    const isPartial = file.path.endsWith('.partial');
    const isDeletable = isPartial ? Date.now() - file.usedMs > abandonedMs : held > bytes;
    if (!isDeletable) continue;
    await rm(file.path, { force: true });
    held -= file.bytes;
  }
}
