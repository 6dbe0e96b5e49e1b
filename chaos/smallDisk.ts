// A disk that can be filled: a file system in memory of its own, so that its ENOSPC is the kernel's and nobody else's disk
// is touched. Mounting needs root; where that is refused, this victim is left out, and chaos says so.
import { execFile } from 'node:child_process';
import { mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const blockBytes = 2 ** 20;
const smallestBlockBytes = 512;

export class SmallDisk {
  private filling: Promise<void> | undefined;
  private full = false;

  private constructor(readonly folder: string) {}

  /** Mounts a disk of `bytes` at `folder`; the reason when the system does not let us. */
  static async mount(folder: string, bytes: number): Promise<SmallDisk | { refused: string }> {
    await mkdir(folder, { recursive: true });
    try {
      await run('mount', ['-t', 'tmpfs', '-o', `size=${bytes},mode=0755`, 'saeflow-chaos', folder]);
      return new SmallDisk(folder);
    } catch (error) {
      return { refused: error instanceof Error ? error.message.trim().split('\n').at(-1)! : String(error) };
    }
  }

  /** Leaves no byte free, and keeps it so while others delete files, until `free`. */
  async fill(): Promise<void> {
    this.full = true;
    const ballast = await open(this.ballast, 'a');
    const fillUp = async (): Promise<void> => {
      for (let bytes = blockBytes; bytes >= smallestBlockBytes; bytes /= 2) {
        while (await ballast.write(Buffer.alloc(bytes)).then(({ bytesWritten }) => bytesWritten === bytes, isFull)) continue;
      }
    };
    await fillUp();
    this.filling = (async () => {
      while (this.full) {
        await fillUp();
        await new Promise((done) => setTimeout(done, 20));
      }
      await ballast.close();
    })();
  }

  async free(): Promise<void> {
    this.full = false;
    await this.filling;
    this.filling = undefined;
    await rm(this.ballast, { force: true });
  }

  async unmount(): Promise<void> {
    await this.free();
    await run('umount', [this.folder]).catch(() => run('umount', ['--lazy', this.folder]));
  }

  private get ballast(): string {
    return join(this.folder, 'ballast');
  }
}

/** False for a disk that takes no more; anything else is thrown. */
function isFull(error: unknown): false {
  if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  return false;
}
