// Finds the Temporal to run on: a server named by the environment or a profile, else an executable for a server of our
// own, which is taken from this machine, from the cache, from Temporal's download site, or compiled from the Go proxy.

import { mkdir, rename, rm } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { loadClientConnectConfig, type ClientConnectConfig } from '@temporalio/envconfig';
import { UserError } from '../schemas/errors.ts';
import { buildOnce, cacheDirectory, requireFreeBytes, type Environment } from './cache.ts';
import { CommandError, findOnPath, isExecutable, runCommand, tryCommand } from './command.ts';
import { downloadFile, verifySha256, type DownloadLimits } from './download.ts';

/** A server that others run; `connectionOptions` (address, TLS, API key) are for Temporal's own clients and workers. */
export interface TemporalAddress {
  kind: 'address';
  address: string;
  namespace: string;
  connectionOptions: ClientConnectConfig['connectionOptions'];
}

/** The `temporal` command line tool, for a server of our own. */
export interface TemporalExecutable {
  kind: 'executable';
  path: string;
  /** As the tool states it, e.g. `1.5.1 (Server 1.29.1, UI 2.42.1)`. */
  version: string;
  origin: 'TEMPORAL_CLI_PATH' | 'PATH' | 'cache';
}

/** Where Temporal was found. */
export type ResolvedTemporal = TemporalAddress | TemporalExecutable;

/** The newest release that `go install` accepts: later ones have a `replace` directive in their go.mod. */
export const temporalCliVersion = 'v1.5.1';

/** How the release archive is fetched; tests point it to a server of their own. */
export interface ReleaseSource {
  /** SHA-256 of the archive by `<platform>-<arch>`. */
  sha256: Record<string, string>;
  limits?: DownloadLimits;
}

const pinnedRelease: ReleaseSource = {
  sha256: {
    'linux-x64': 'ddc95e08b0b076efd4ea9733a3f488eb7d2be875f8834e616cd2a37358b4852d',
    'linux-arm64': 'bd1b0db9f18b051026de8bf6cc1505f2510f14bbb7a8b9a4a91fff46c77454f5',
    'darwin-x64': 'bbb73e2a31135abe50a1f1cdb35030c42961df618e8ce9c60ae89f201540c5d9',
    'darwin-arm64': 'cca01b7ea35ad56e2a328d9ae596bf716bd22313ef63c7a761c88354457c2415',
  },
};
const goModule = 'github.com/temporalio/cli/cmd/temporal';
// Modules, build cache and binary of a compilation.
const compileDiskBytes = 4e9;

/**
 * Finds Temporal, installing the command line tool into the cache when there is none.
 *
 * @throws UserError when a profile or TEMPORAL_CLI_PATH is wrong, or when no way of installing is left.
 */
export async function resolveTemporal(
  env: Environment = process.env,
  log: (line: string) => void = console.log,
  release: ReleaseSource = pinnedRelease,
): Promise<ResolvedTemporal> {
  const found = await findTemporal(env);
  if (found) return found;
  const folder = cacheFolder(env);
  await buildOnce(folder, (staging) => install(staging, env, log, release), log);
  const path = join(folder, 'temporal');
  const version = await versionOf(path, env);
  if (version) return { kind: 'executable', path, version, origin: 'cache' };
  throw new UserError(`${path} does not run.`, `Delete ${folder} and run npm run setup again.`);
}

/** Finds Temporal without installing anything; undefined when there is none. */
export async function findTemporal(env: Environment = process.env): Promise<ResolvedTemporal | undefined> {
  return profileAddress(env) ?? (await givenExecutable(env)) ?? (await executable(findOnPath('temporal', env), 'PATH', env)) ?? executable(join(cacheFolder(env), 'temporal'), 'cache', env);
}

function profileAddress(env: Environment): TemporalAddress | undefined {
  const file = env['TEMPORAL_CONFIG_FILE'];
  if (file && !existsSync(file)) throw new UserError(`TEMPORAL_CONFIG_FILE=${file} does not exist.`, 'Correct or unset it.');
  const defined = Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => Boolean(entry[1])));
  try {
    const { connectionOptions, namespace } = loadClientConnectConfig({ overrideEnvVars: defined });
    if (!connectionOptions.address) return undefined;
    return { kind: 'address', address: connectionOptions.address, namespace: namespace ?? 'default', connectionOptions };
  } catch (error) {
    // What the reader stumbles over in a file without any section, such as an empty one.
    if (error instanceof TypeError) throw new UserError(`The Temporal profile file ${file ?? 'temporal.toml'} holds no profile.`, 'Write a section such as [profile.default] with an address into it, or remove the file or TEMPORAL_CONFIG_FILE.', { cause: error });
    throw new UserError(
      `The Temporal profile can't be read: ${error instanceof Error ? error.message : String(error)}.`,
      'Correct temporal.toml (TEMPORAL_CONFIG_FILE), TEMPORAL_PROFILE or the TEMPORAL_* variables.',
    );
  }
}

async function givenExecutable(env: Environment): Promise<TemporalExecutable | undefined> {
  const path = env['TEMPORAL_CLI_PATH'];
  if (!path) return undefined;
  const found = await executable(path, 'TEMPORAL_CLI_PATH', env);
  if (found) return found;
  throw new UserError(`TEMPORAL_CLI_PATH=${path} is not a Temporal command line tool that runs here.`, 'Correct or unset it.');
}

async function executable(path: string | undefined, origin: TemporalExecutable['origin'], env: Environment): Promise<TemporalExecutable | undefined> {
  if (!path || !isExecutable(path)) return undefined;
  const version = await versionOf(path, env);
  return version ? { kind: 'executable', path, version, origin } : undefined;
}

async function versionOf(path: string, env: Environment): Promise<string | undefined> {
  const { stdout, exitCode } = await tryCommand(path, ['--version'], { env, timeoutMs: 20_000 });
  return exitCode === 0 ? /^temporal version (.+)$/m.exec(stdout)?.[1] : undefined;
}

function cacheFolder(env: Environment): string {
  return join(cacheDirectory(env), 'temporal', `${temporalCliVersion}-${process.platform}-${process.arch}`);
}

async function install(staging: string, env: Environment, log: (line: string) => void, release: ReleaseSource): Promise<void> {
  const reasons: string[] = [];
  for (const way of [downloadRelease, compileFromSource]) {
    try {
      return await way(staging, env, log, release);
    } catch (error) {
      reasons.push(error instanceof Error ? error.message : String(error));
      log(`the Temporal command line tool could not be had this way: ${reasons.at(-1)!.split('\n', 1)[0]}`);
    }
  }
  throw new UserError(
    `There is no Temporal to run on, and installing its command line tool failed:\n${reasons.map((reason) => `  - ${reason}`).join('\n')}`,
    'Install Go (https://go.dev/dl) or the temporal CLI (https://docs.temporal.io/cli) and put it on the PATH, or set TEMPORAL_ADDRESS to a running server.',
  );
}

/** The release archive, from Temporal's download site or, with SAEFLOW_TEMPORAL_DOWNLOAD_URL, from a mirror of it. */
async function downloadRelease(staging: string, env: Environment, log: (line: string) => void, release: ReleaseSource): Promise<void> {
  const platform = `${process.platform}-${process.arch}`;
  const sha256 = release.sha256[platform];
  if (!sha256) throw new CommandError(`no release is known for ${platform}`);
  const site = env['SAEFLOW_TEMPORAL_DOWNLOAD_URL'] || 'https://temporal.download/cli/archive';
  const archive = join(staging, 'temporal.tar.gz');
  const unpacked = join(staging, 'unpacked');
  log(`fetching the Temporal command line tool ${temporalCliVersion} (about 60 MB) from ${new URL(site).host}`);
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch;
  await downloadFile(`${site}/${temporalCliVersion}?platform=${process.platform}&arch=${architecture}`, archive, log, release.limits);
  await verifySha256(archive, sha256);
  await mkdir(unpacked);
  await runCommand('tar', ['-xzf', archive, '-C', unpacked], { env });
  await rename(join(unpacked, 'temporal'), join(staging, 'temporal'));
  await rm(unpacked, { recursive: true });
  await rm(archive);
}

/** Go verifies every module against the checksums of its public database. */
async function compileFromSource(staging: string, env: Environment, log: (line: string) => void): Promise<void> {
  const go = findOnPath('go', env);
  if (!go) throw new CommandError('Go is not on the PATH, so it can’t be compiled either');
  await requireFreeBytes(staging, compileDiskBytes, 'Compiling the Temporal command line tool');
  log(`compiling the Temporal command line tool ${temporalCliVersion} with Go: 4 to 5 minutes on 2 cores, once`);
  await runCommand(go, ['install', '-trimpath', '-ldflags', '-s -w', `${goModule}@${temporalCliVersion}`], {
    // GOGC trades memory for a third of the time; without cgo the binary runs on any Linux.
    env: { ...env, GOBIN: staging, CGO_ENABLED: '0', GOGC: '800' },
    progress: 'compiling the Temporal command line tool',
    log,
  });
}
