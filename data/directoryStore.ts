// An artifact store in a folder. An object is written under a temporary name, fsynced and renamed, then its folder is
// fsynced: a crash of process or machine leaves the old object or the new one, never half of one. Many processes (also
// over a network file system with hard links) may share the folder.
import { randomBytes } from 'node:crypto';
import { link, mkdir, open, readdir, rename, rm, rmdir, stat, statfs, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { UserError } from '../schemas/errors.ts';
import type { ArtifactStore, ListedObject, Stored, UnfinishedWrite } from './artifactStore.ts';
import { PieceWriter } from './pieceWriter.ts';
import { checkPath, checkPrefix, checkRange, NotFoundError, temporaryPrefix } from './storePath.ts';

/** Linux reads at most 2 GiB in one call. */
const readBytesAtOnce = 2 ** 30;
/** Ranges up to this size are read without asking first how long the file is. */
const unaskedBytes = 64 * 2 ** 20;

export class DirectoryStore implements ArtifactStore {
  readonly uri: string;

  /** `root`: an absolute folder; it need not exist yet. */
  constructor(root: string) {
    this.uri = root;
  }

  async put(path: string, bytes: Uint8Array): Promise<Stored> {
    return this.putPieces(path, [bytes]);
  }

  async putPieces(path: string, pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<Stored> {
    const target = this.resolve(path);
    const content = new PieceWriter(pieces);
    await this.commit(target, content, (temporary) => rename(temporary, target));
    return { sha256: await content.hash.digest(), bytes: content.bytes };
  }

  async putIfAbsent(path: string, bytes: Uint8Array): Promise<boolean> {
    const target = this.resolve(path);
    // A hard link fails when the name exists, and the content behind it is complete: atomic, unlike open with O_EXCL.
    const content = { bytes: bytes.length, writeTo: (file: FileHandle) => file.writeFile(bytes) };
    return this.commit(target, content, async (temporary) => {
      try {
        await link(temporary, target);
        return true;
      } catch (error) {
        if (codeOf(error) === 'EEXIST') return false;
        throw error;
      }
    });
  }

  async get(path: string): Promise<Uint8Array> {
    return this.read(path, 0, undefined);
  }

  async range(path: string, start: number, length: number, room?: Uint8Array): Promise<Uint8Array> {
    checkRange(start, length);
    return this.read(path, start, length, room);
  }

  async size(path: string): Promise<number> {
    const file = await stat(this.resolve(path)).catch((error: unknown) => {
      throw this.notFound(error, path);
    });
    if (!file.isFile()) throw new NotFoundError(this.uri, path);
    return file.size;
  }

  async exists(path: string): Promise<boolean> {
    try {
      await this.size(path);
      return true;
    } catch (error) {
      if (error instanceof NotFoundError) return false;
      throw error;
    }
  }

  async list(prefix: string): Promise<ListedObject[]> {
    checkPrefix(prefix);
    const objects: ListedObject[] = [];
    await this.walk(prefix.slice(0, prefix.lastIndexOf('/') + 1), prefix, async (path) => {
      const file = await stat(join(this.uri, path)).catch(ignoreMissing);
      if (file) objects.push({ path, bytes: file.size, modifiedAt: file.mtime });
    });
    return objects.sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  async delete(path: string): Promise<void> {
    await rm(this.resolve(path), { force: true });
  }

  async deletePrefix(prefix: string): Promise<void> {
    if (prefix === '') throw new TypeError("deletePrefix(''): refusing to empty the whole store");
    const folders = new Set<string>();
    for (const { path } of await this.list(prefix)) {
      await this.delete(path);
      for (let folder = dirname(path); folder.startsWith(prefix.replace(/\/$/, '')); folder = dirname(folder)) folders.add(folder);
    }
    // Deepest first; a folder that someone is writing to is not empty and stays.
    for (const folder of [...folders].sort((a, b) => b.length - a.length)) await rmdir(join(this.uri, folder)).catch(() => undefined);
  }

  async listUnfinished(): Promise<UnfinishedWrite[]> {
    const writes: UnfinishedWrite[] = [];
    await this.walk('', '', () => Promise.resolve(), async (path) => {
      const file = await stat(join(this.uri, path)).catch(ignoreMissing);
      if (file) writes.push({ path, bytes: file.size, modifiedAt: file.mtime, uploadId: '' });
    });
    return writes.sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  async deleteUnfinished({ path }: UnfinishedWrite): Promise<void> {
    const name = path.slice(path.lastIndexOf('/') + 1);
    if (!name.startsWith(temporaryPrefix)) throw new TypeError(`'${path}' is not a temporary file`);
    checkPath(path.slice(0, -name.length) + name.slice(temporaryPrefix.length));
    await rm(join(this.uri, path), { force: true });
  }

  async freeBytes(): Promise<number | undefined> {
    // The folder may not have been made yet: then its disk is that of the first one above it that has.
    for (let folder = this.uri; ; folder = dirname(folder)) {
      const disk = await statfs(folder).catch(ignoreMissing);
      if (disk) return disk.bavail * disk.bsize;
    }
  }

  private resolve(path: string): string {
    checkPath(path);
    return join(this.uri, path);
  }

  /** Writes the content durably under a temporary name beside `target`, and lets `publish` give it its name. */
  private async commit<T>(target: string, content: Content, publish: (temporary: string) => Promise<T>): Promise<T> {
    const folder = dirname(target);
    const temporary = join(folder, `${temporaryPrefix}${process.pid}-${randomBytes(6).toString('hex')}`);
    for (let attempt = 1; ; attempt++) {
      let file: FileHandle | undefined;
      try {
        await makeFolder(folder);
        file = await open(temporary, 'wx');
        await content.writeTo(file, temporary);
        await file.sync();
        await file.close();
        const result = await publish(temporary);
        await rm(temporary, { force: true });
        // Gone: someone has deleted the object since, and its folder with it.
        await syncFolder(folder).catch(ignoreMissing);
        return result;
      } catch (error) {
        await file?.close().catch(() => undefined);
        await rm(temporary, { force: true }).catch(() => undefined);
        // Someone's deletePrefix may have removed the folder, empty as it was, under our feet.
        if (file === undefined && codeOf(error) === 'ENOENT' && attempt < 3) continue;
        throw await explainWriteError(error, this.uri, content.bytes);
      }
    }
  }

  /** `length` undefined reads to the end. */
  private async read(path: string, start: number, length: number | undefined, room?: Uint8Array): Promise<Uint8Array> {
    const file = await open(this.resolve(path), 'r').catch((error: unknown) => {
      throw this.notFound(error, path);
    });
    try {
      if (length !== undefined && length > 0 && length <= unaskedBytes) {
        // Whoever reads ahead between two long computations gets a turn of the event loop for each call: these are the fewest.
        const bytes = room ?? new Uint8Array(length);
        const { bytesRead } = await file.read(bytes, 0, length, start).catch(() => ({ bytesRead: 0 }));
        if (bytesRead === length) return bytes;
      }
      const info = await file.stat();
      if (!info.isFile()) throw new NotFoundError(this.uri, path);
      const wanted = length ?? info.size - start;
      const isThere = start + wanted <= info.size;
      const bytes = isThere && room?.length === wanted ? room : new Uint8Array(isThere ? wanted : 0);
      let filled = 0;
      while (filled < bytes.length) {
        const { bytesRead } = await file.read(bytes, filled, Math.min(bytes.length - filled, readBytesAtOnce), start + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      if (filled < wanted || start + wanted > info.size) throw new RangeError(`${path} ends at byte ${info.size}, before ${start + wanted}`);
      return bytes;
    } finally {
      // Nothing was written: that it closes need not be waited for.
      void file.close().catch(() => undefined);
    }
  }

  /** Visits every object below `folder` ('' or ending in '/') whose path begins with `prefix`, and temporaries apart. */
  private async walk(folder: string, prefix: string, onObject: (path: string) => Promise<void>, onTemporary?: (path: string) => Promise<void>): Promise<void> {
    const entries = (await readdir(join(this.uri, folder), { withFileTypes: true }).catch(ignoreMissing)) ?? [];
    for (const entry of entries) {
      const path = folder + entry.name;
      if (entry.isDirectory()) {
        if (`${path}/`.startsWith(prefix) || prefix.startsWith(`${path}/`)) await this.walk(`${path}/`, prefix, onObject, onTemporary);
      } else if (entry.name.startsWith(temporaryPrefix)) await onTemporary?.(path);
      else if (path.startsWith(prefix)) await onObject(path);
    }
  }

  private notFound(error: unknown, path: string): unknown {
    return isMissing(error) ? new NotFoundError(this.uri, path) : error;
  }
}

/**
 * Turns what a full, read-only or unsuitable disk says into a UserError that names the folder, the bytes needed and the
 * bytes free; gives any other error back as it is.
 */
export async function explainWriteError(error: unknown, folder: string, neededBytes: number): Promise<unknown> {
  switch (codeOf(error)) {
    case 'ENOSPC':
    case 'EDQUOT':
    case 'EFBIG': {
      const disk = await statfs(folder).catch(() => undefined);
      const free = disk ? `${disk.bavail * disk.bsize} bytes are free` : 'free space is unknown';
      return new UserError(
        `${folder}: no room to write ${neededBytes} bytes; ${free} (${codeOf(error)})`,
        'Free space on that disk (or raise the quota) and retry: finished work is kept. Or use a store on another disk or S3.',
        { cause: error },
      );
    }
    case 'EACCES':
    case 'EROFS':
      return new UserError(`${folder}: not writable (${codeOf(error)})`, 'Give this user write permission to that folder, or use another store.', { cause: error });
    case 'EEXIST':
    case 'ENOTDIR':
      return new UserError(`${folder}: a file is where a folder must be (${(error as Error).message})`, 'Move that file away, or use another store.', { cause: error });
    case 'EPERM':
    case 'ENOTSUP':
    case 'EOPNOTSUPP':
    case 'ENOSYS':
      return new UserError(
        `${folder}: its file system refused a needed operation, most likely hard links (${codeOf(error)})`,
        'Use a folder on a Linux file system (ext4, xfs, NFS) or an S3 store.',
        { cause: error },
      );
    default:
      return error;
  }
}

/** What is to be in a file. */
interface Content {
  /** Known so far: for the message of a full disk. */
  readonly bytes: number;
  writeTo(file: FileHandle, path: string): Promise<void>;
}

/** Makes a folder and its parents, and lets the new names survive a crash. */
async function makeFolder(folder: string): Promise<void> {
  const firstMade = await mkdir(folder, { recursive: true });
  if (firstMade === undefined) return;
  for (let made = folder; made.length >= firstMade.length; made = dirname(made)) await syncFolder(dirname(made));
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function ignoreMissing(error: unknown): undefined {
  if (!isMissing(error)) throw error;
}

function isMissing(error: unknown): boolean {
  return codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR';
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
}
