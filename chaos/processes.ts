// Processes as chaos sees them: by pid, killed without warning, and looked at through /proc.
import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { isAlive } from '../setup/lock.ts';

/** kill -9; returns when the process is gone, so that its ports and files can be used again. */
export async function killHard(pid: number): Promise<void> {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    return; // Already gone.
  }
  while (isAlive(pid)) await sleep(20);
}

/** Children of a process whose command line contains `text`, oldest first. */
export function childrenOf(pid: number, text: string): number[] {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
    return children.filter((child) => readFileSync(`/proc/${child}/cmdline`, 'utf8').includes(text));
  } catch {
    return []; // It has just ended.
  }
}

/** A free port below those the system hands out: nobody else takes it while its server is down. */
export async function quietPort(): Promise<number> {
  for (;;) {
    const port = randomInt(20_000, 32_000);
    const server = createServer();
    const free = await new Promise<boolean>((resolve) => server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true)));
    if (!free) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}
