// A small file system of its own, which a test can fill to the last byte.
import { execFile } from 'node:child_process';
import { mkdir, open, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface SmallDisk {
  folder: string;
  /** Leaves this many bytes free, rounded down to a page. */
  fill(leaveBytes: number): Promise<void>;
  /** Takes what fill wrote away again. */
  free(): Promise<void>;
  unmount(): Promise<void>;
}

/** Mounts a tmpfs at `folder`, as root or by a sudo that asks nothing (what CI has). */
export async function mountSmallDisk(folder: string, bytes: number): Promise<SmallDisk> {
  await mkdir(folder, { recursive: true });
  const asRoot = (program: string, ...args: string[]) => (process.getuid?.() === 0 ? run(program, args) : run('sudo', ['-n', program, ...args]));
  await asRoot('mount', '-t', 'tmpfs', '-o', `size=${bytes},mode=1777`, 'saeflow-test', folder);
  const ballast = join(folder, 'ballast');
  return {
    folder,
    async fill(leaveBytes) {
      const { bavail, bsize } = await statfs(folder);
      const file = await open(ballast, 'w');
      await file.write(new Uint8Array(Math.max(0, bavail * bsize - leaveBytes)));
      await file.close();
    },
    free: () => rm(ballast, { force: true }),
    async unmount() {
      await asRoot('umount', folder);
    },
  };
}
