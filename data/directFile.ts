// Writes a large file past the system's cache (O_DIRECT): its pages would be copied there by the processor, brought to the
// disk from there, and be gone again before a training reads them. Where a file system or a platform does not offer it,
// the same bytes go through the cache.
import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { memoryKernel } from './memoryKernel.ts';
import type { FileWriter } from './pieceWriter.ts';

/** What every disk and file system takes: positions, lengths and addresses that are multiples of a page. */
const pageBytes = 4_096;
const slabBytes = 4 * 2 ** 20;
/** One is filled while the others are on their way. */
const slabs = 3;

/** Writes `file`, open at `path` and empty, in this way; undefined where that can't be. */
export async function directWriter(file: FileHandle, path: string): Promise<FileWriter | undefined> {
  const kernel = memoryKernel();
  // Node defines the flag where the platform has it
  if (kernel === undefined || constants.O_DIRECT === undefined) return undefined;
  const direct = await open(path, constants.O_WRONLY | constants.O_DIRECT).catch(() => undefined);
  if (direct === undefined) return undefined;
  const memory = Array.from({ length: slabs }, () => new Uint8Array(slabBytes + pageBytes)).map((room) => {
    const start = kernel.alignedAt(room, pageBytes);
    return room.subarray(start, start + slabBytes);
  });
  return new DirectWriter(file, direct, memory);
}

class DirectWriter implements FileWriter {
  private readonly file: FileHandle;
  private readonly direct: FileHandle;
  private refused = false;
  /** Slabs, and what was last written from each. */
  private readonly slabs: { memory: Uint8Array; written: Promise<void> }[];
  private slab = 0;
  private filled = 0;
  private position = 0;

  constructor(file: FileHandle, direct: FileHandle, memory: Uint8Array[]) {
    this.file = file;
    this.direct = direct;
    this.slabs = memory.map((each) => ({ memory: each, written: Promise.resolve() }));
  }

  async write(pieces: Uint8Array[]): Promise<void> {
    for (const piece of pieces) {
      for (let taken = 0; taken < piece.length; ) {
        const slab = this.slabs[this.slab]!;
        if (this.filled === 0) await slab.written;
        const count = Math.min(piece.length - taken, slab.memory.length - this.filled);
        slab.memory.set(piece.subarray(taken, taken + count), this.filled);
        this.filled += count;
        taken += count;
        if (this.filled === slab.memory.length) this.send(this.filled);
      }
    }
  }

  async end(): Promise<void> {
    this.send(this.filled);
    await Promise.all(this.slabs.map(({ written }) => written));
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.slabs.map(({ written }) => written));
    await this.direct.close();
  }

  private send(count: number): void {
    const slab = this.slabs[this.slab]!;
    slab.written = this.writeAt(slab.memory.subarray(0, count), this.position);
    // it is awaited when the slab is needed again, or at the end
    slab.written.catch(() => undefined);
    this.position += count;
    this.slab = (this.slab + 1) % this.slabs.length;
    this.filled = 0;
  }

  private async writeAt(bytes: Uint8Array, position: number): Promise<void> {
    let done = 0;
    const whole = bytes.length - (bytes.length % pageBytes);
    if (whole > 0 && !this.refused) {
      try {
        done = (await this.direct.write(bytes, 0, whole, position)).bytesWritten;
      } catch (error) {
        // some file systems open it and then refuse
        if ((error as NodeJS.ErrnoException).code !== 'EINVAL') throw error;
        this.refused = true;
      }
    }
    while (done < bytes.length) done += (await this.file.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
  }
}
