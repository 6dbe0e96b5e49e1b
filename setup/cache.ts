// Where set-up keeps what is large and slow to make, outside the clone: a second clone links to it in seconds.
// An entry is built beside its final name and renamed, under a lock, so that two set-ups never see half of one.

import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm, statfs } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { UserError } from '../schemas/errors.ts';
import { withLock } from './lock.ts';

/** The variables set-up reads; `process.env` fits. */
export type Environment = Record<string, string | undefined>;

/** The cache folder: `SAEFLOW_CACHE_DIR`, else `$XDG_CACHE_HOME/saeflow`, else `~/.cache/saeflow`. */
export function cacheDirectory(env: Environment = process.env): string {
  if (env['SAEFLOW_CACHE_DIR']) return resolve(env['SAEFLOW_CACHE_DIR']);
  return join(env['XDG_CACHE_HOME'] || join(env['HOME'] || homedir(), '.cache'), 'saeflow');
}

/**
 * Builds the cache entry `path` once: returns at once when it exists, else waits for the entry's lock, lets `build`
 * fill an empty folder beside it and renames that. A failed build leaves nothing behind.
 */
export async function buildOnce(path: string, build: (staging: string) => Promise<void>, log: (line: string) => void): Promise<void> {
  if (existsSync(path)) return;
  await mkdir(dirname(path), { recursive: true });
  await withLock(`${path}.lock`, log, async () => {
    if (existsSync(path)) return;
    const staging = `${path}.${process.pid}.${randomUUID().slice(0, 8)}.tmp`;
    try {
      await mkdir(staging, { recursive: true });
      await build(staging);
      await rename(staging, path).catch((error: unknown) => {
        if (!existsSync(path)) throw error; // Another set-up, on a machine that shares this cache, was first.
      });
    } finally {
      await rm(staging, { recursive: true, force: true });
    }
  });
}

/** Free bytes on the disk that holds `path`, which need not exist yet. */
export async function freeBytes(path: string): Promise<number> {
  let existing = resolve(path);
  while (!existsSync(existing)) existing = dirname(existing);
  const disk = await statfs(existing);
  return disk.bavail * disk.bsize;
}

/** Throws a UserError when fewer than `neededBytes` are free where `path` lies. */
export async function requireFreeBytes(path: string, neededBytes: number, what: string): Promise<void> {
  const free = await freeBytes(path);
  if (free >= neededBytes) return;
  throw new UserError(
    `${what} needs ${formatBytes(neededBytes)} of free disk in ${path}; ${formatBytes(free)} are free.`,
    'Free some space, or set SAEFLOW_CACHE_DIR to a folder on a larger disk.',
  );
}

/** `273829956` → `"274 MB"`. */
export function formatBytes(bytes: number): string {
  return bytes < 1e9 ? `${Math.round(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}
