// The set-up cache: an entry is built once however many ask for it, never seen half made, and a dead owner's lock is no obstacle.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { buildOnce, cacheDirectory, requireFreeBytes } from '../../setup/cache.ts';
import { isAlive, withLock } from '../../setup/lock.ts';

const scratch = mkdtempSync(join(tmpdir(), 'saeflow-cache-'));
const silent = (): void => undefined;

async function deadPid(): Promise<number> {
  const child = spawn(process.execPath, ['-e', '0']);
  await once(child, 'exit');
  return child.pid ?? 0;
}

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe('cacheDirectory', () => {
  it('prefers SAEFLOW_CACHE_DIR to XDG_CACHE_HOME to the home folder', () => {
    expect(cacheDirectory({ SAEFLOW_CACHE_DIR: '/big/saeflow', XDG_CACHE_HOME: '/x', HOME: '/h' })).toBe('/big/saeflow');
    expect(cacheDirectory({ XDG_CACHE_HOME: '/x', HOME: '/h' })).toBe('/x/saeflow');
    expect(cacheDirectory({ HOME: '/h' })).toBe('/h/.cache/saeflow');
  });
});

describe('buildOnce', () => {
  it('builds once for all who ask at the same time, and shows the entry only when it is whole', async () => {
    const entry = join(scratch, 'shared');
    let builds = 0;
    const build = async (staging: string): Promise<void> => {
      builds++;
      writeFileSync(join(staging, 'part-1'), 'a');
      expect(existsSync(entry)).toBe(false);
      await sleep(50);
      writeFileSync(join(staging, 'part-2'), 'b');
    };
    await Promise.all([1, 2, 3].map(() => buildOnce(entry, build, silent)));
    expect(builds).toBe(1);
    expect(readdirSync(entry)).toEqual(['part-1', 'part-2']);
  });

  it('leaves nothing of a build that fails, and the next one starts afresh', async () => {
    const entry = join(scratch, 'failing', 'entry');
    await expect(buildOnce(entry, () => Promise.reject(new Error('no disk')), silent)).rejects.toThrow('no disk');
    expect(readdirSync(join(scratch, 'failing'))).toEqual([]);
    await buildOnce(entry, async (staging) => writeFileSync(join(staging, 'done'), ''), silent);
    expect(readdirSync(join(scratch, 'failing'))).toEqual(['entry']);
  });
});

describe('withLock', () => {
  it('lets one in at a time, and says for whom it waits', async () => {
    const lock = join(scratch, 'lock');
    const lines: string[] = [];
    let inside = 0;
    let most = 0;
    const work = async (): Promise<void> => {
      most = Math.max(most, ++inside);
      await sleep(20);
      inside--;
    };
    await Promise.all([1, 2, 3, 4].map(() => withLock(lock, (line) => lines.push(line), work)));
    expect(most).toBe(1);
    expect(lines[0]).toContain(`process ${process.pid}`);
    expect(existsSync(lock)).toBe(false);
  });

  it('takes over the lock of a process that was killed, one waiter at a time', async () => {
    const lock = join(scratch, 'stale');
    writeFileSync(lock, `${await deadPid()} left-behind`);
    let inside = 0;
    let most = 0;
    const work = async (): Promise<string> => {
      most = Math.max(most, ++inside);
      await sleep(20);
      inside--;
      return readFileSync(lock, 'utf8');
    };
    const holders = await Promise.all([1, 2, 3].map(() => withLock(lock, silent, work)));
    expect(most).toBe(1);
    for (const holder of holders) expect(holder).toMatch(new RegExp(`^${process.pid} `));
  });
});

describe('isAlive', () => {
  it('tells a running process from one that has ended', async () => {
    expect(isAlive(process.pid)).toBe(true);
    expect(isAlive(await deadPid())).toBe(false);
  });
});

describe('requireFreeBytes', () => {
  it('names the need, the folder and the variable that moves the cache', async () => {
    await expect(requireFreeBytes(join(scratch, 'not', 'there', 'yet'), 1e18, 'This')).rejects.toMatchObject({
      message: expect.stringMatching(/1000000000\.0 GB of free disk in .*not\/there\/yet/) as string,
      remedy: expect.stringContaining('SAEFLOW_CACHE_DIR') as string,
    });
    await expect(requireFreeBytes(scratch, 1, 'This')).resolves.toBeUndefined();
  });
});
