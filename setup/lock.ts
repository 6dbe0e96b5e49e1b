// A lock file between processes of one machine: two set-ups must not build the same cache entry, nor two commands start
// two Temporal servers on one database. It names its owner's pid, so that a killed owner does not lock others out.

import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Runs `work` while holding the lock file `path`, which names its owner's pid: a lock whose owner is dead is taken over.
 * While waiting it logs once.
 */
export async function withLock<T>(path: string, log: (line: string) => void, work: () => Promise<T>): Promise<T> {
  await mkdir(dirname(path), { recursive: true });
  const mine = `${process.pid} ${randomUUID()}`;
  const ticket = `${path}.${mine.replace(' ', '.')}`;
  await writeFile(ticket, mine);
  try {
    let announced = false;
    while (!(await tryLink(ticket, path))) {
      const holder = await readFile(path, 'utf8').catch(() => '');
      const owner = Number.parseInt(holder, 10);
      if (owner > 0 && !isAlive(owner)) {
        await takeAway(path, holder, ticket);
        continue;
      }
      if (!announced) log(`waiting for process ${owner}, which holds ${path}`);
      announced = true;
      await sleep(200);
    }
    try {
      return await work();
    } finally {
      if ((await readFile(path, 'utf8').catch(() => '')) === mine) await rm(path, { force: true });
    }
  } finally {
    await rm(ticket, { force: true });
  }
}

/** True while a process of that id runs (also one of another user); a dead one that nobody has reaped does not count. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  try {
    return !/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return true; // No /proc on this system.
  }
}

/**
 * Removes a dead owner's lock. Behind a lock of its own: between a look at the dead owner's and its removal another waiter
 * could have put its own there.
 */
async function takeAway(path: string, deadHolder: string, ticket: string): Promise<void> {
  const guard = `${path}.takeover`;
  if (!(await tryLink(ticket, guard))) {
    const remover = Number.parseInt(await readFile(guard, 'utf8').catch(() => ''), 10);
    if (remover > 0 && !isAlive(remover)) await rm(guard, { force: true });
    await sleep(10);
    return;
  }
  try {
    if ((await readFile(path, 'utf8').catch(() => '')) === deadHolder) await rm(path, { force: true });
  } finally {
    await rm(guard, { force: true });
  }
}

async function tryLink(ticket: string, path: string): Promise<boolean> {
  try {
    await link(ticket, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}
