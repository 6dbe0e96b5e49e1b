// The kernel where a machine gives it too little: it says so, and the process lives on.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

async function denied(what: string): Promise<unknown> {
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', join(import.meta.dirname, 'deniedKernel.ts'), what]);
  return JSON.parse(stdout);
}

// Linux's limits on a process
const onLinux = it.runIf(process.platform === 'linux');

onLinux('out of memory in the middle of a step, on whichever thread, is an error', async () => {
  expect(await denied('memory')).toEqual({ message: 'there is not enough memory for the SAE kernel', l0Afterwards: 8 });
});

onLinux('threads that cannot be started are an error that names their number', async () => {
  expect(await denied('threads')).toEqual({ message: expect.stringMatching(/does not load: 512 threads could not be started: /) as string, l0Afterwards: 8 });
});

it('a step before the kernel was opened is an error', async () => {
  expect(await denied('order')).toEqual({ message: 'open comes first', l0Afterwards: 8 });
});

it('what is no training, or a handle of another kind, is an error', async () => {
  expect(await denied('handles')).toEqual({ message: 'argument 1 is not a training', l0Afterwards: 8 });
});
