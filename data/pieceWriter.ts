// Pieces on their way into a file: while some are written, hashed and brought to the disk, the next are made.
import type { FileHandle } from 'node:fs/promises';
import { directWriter } from './directFile.ts';
import { pieceHash } from './pieceHash.ts';

/** Pieces are written together up to this size: a call for each would cost more than its writing. Files above it are large. */
const writtenBytesAtOnce = 4 * 2 ** 20;
/** A disk gets to work when so much was written: else it would begin when all is, and its whole time be waited for. */
const syncedBytesAtOnce = 32 * 2 ** 20;

/** Takes a file's bytes from its beginning on. */
export interface FileWriter {
  /** Throws what writing earlier pieces threw. Pieces must not change until the end. */
  write(pieces: Uint8Array[]): Promise<void>;
  /** The file is whole when this returns, though not yet durable. */
  end(): Promise<void>;
  /** Returns when nothing is at the file any more: it is not closed under a call. */
  close(): Promise<void>;
}

export class PieceWriter {
  readonly hash = pieceHash();
  /** So far. */
  bytes = 0;
  private readonly pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

  constructor(pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>) {
    this.pieces = pieces;
  }

  /** `file`: open at `path`, and empty. */
  async writeTo(file: FileHandle, path: string): Promise<void> {
    let writer: FileWriter | undefined;
    let waiting: Uint8Array[] = [];
    let waitingBytes = 0;
    const write = async () => {
      const batch = waiting;
      writer ??= (waitingBytes < writtenBytesAtOnce ? undefined : await directWriter(file, path)) ?? new CachedWriter(file);
      waiting = [];
      waitingBytes = 0;
      await writer.write(batch);
      for (const piece of batch) await this.hash.add(piece);
    };
    try {
      for await (const piece of this.pieces) {
        this.bytes += piece.length;
        waiting.push(piece);
        waitingBytes += piece.length;
        if (waitingBytes >= writtenBytesAtOnce) await write();
      }
      await write();
      await writer!.end();
    } finally {
      await writer?.close();
    }
  }
}

/** Writes through the system's cache, and has the disk begin before all is there. */
class CachedWriter implements FileWriter {
  private readonly file: FileHandle;
  private writing: Promise<void> = Promise.resolve();
  private syncing: Promise<void> = Promise.resolve();
  private isSyncing = false;
  private unsyncedBytes = 0;

  constructor(file: FileHandle) {
    this.file = file;
  }

  async write(pieces: Uint8Array[]): Promise<void> {
    await this.writing;
    if (this.unsyncedBytes >= syncedBytesAtOnce && !this.isSyncing) {
      this.unsyncedBytes = 0;
      this.isSyncing = true;
      this.syncing = this.syncing.then(() => this.file.datasync()).finally(() => (this.isSyncing = false));
      this.syncing.catch(() => undefined);
    }
    this.writing = writeAll(this.file, pieces);
    // awaited before the next pieces; until then it is no unhandled rejection
    this.writing.catch(() => undefined);
    for (const { length } of pieces) this.unsyncedBytes += length;
  }

  async end(): Promise<void> {
    await Promise.all([this.writing, this.syncing]);
  }

  async close(): Promise<void> {
    await Promise.allSettled([this.writing, this.syncing]);
  }
}

/** A call may write less than it was given. */
async function writeAll(file: FileHandle, pieces: Uint8Array[]): Promise<void> {
  let rest = pieces.filter(({ length }) => length > 0);
  while (rest.length > 0) {
    let { bytesWritten } = await file.writev(rest);
    rest = rest.flatMap((piece) => {
      const written = Math.min(bytesWritten, piece.length);
      bytesWritten -= written;
      return written === piece.length ? [] : [piece.subarray(written)];
    });
  }
}
