// The S3 store is tested against a real server: versitygw, an S3 gateway in Go that keeps objects as plain files and
// honours If-None-Match. It is built from the Go module proxy, once per machine, into the cache outside the clone.

import { join } from 'node:path';
import { UserError } from '../schemas/errors.ts';
import { buildOnce, cacheDirectory, requireFreeBytes, type Environment } from './cache.ts';
import { CommandError, findOnPath, runCommand } from './command.ts';

const versitygwVersion = 'v1.8.0';
const neededDiskBytes = 3e9;

/**
 * The path of the versitygw binary; builds it when the cache doesn't hold it (about 4 minutes on two cores).
 *
 * @throws UserError when Go is missing, the disk is too full or the build fails.
 */
export async function ensureS3Server(env: Environment = process.env, log: (line: string) => void = console.log): Promise<string> {
  const entry = join(cacheDirectory(env), 's3-server', `versitygw-${versitygwVersion}-${process.platform}-${process.arch}`);
  await buildOnce(entry, (staging) => build(staging, env, log), log);
  return join(entry, 'versitygw');
}

async function build(staging: string, env: Environment, log: (line: string) => void): Promise<void> {
  const go = findOnPath('go', env);
  if (!go) {
    throw new UserError(
      'The S3 tests need the server versitygw, which is built with Go, and go is not on the PATH.',
      'Install Go 1.24 or newer (https://go.dev/dl, or apt-get install -y golang-go), then run npm test again.',
    );
  }
  await requireFreeBytes(staging, neededDiskBytes, 'Building the S3 test server');
  log(`building the S3 test server versitygw ${versitygwVersion} (about 4 minutes, once per machine)`);
  try {
    await runCommand(go, ['install', '-trimpath', '-ldflags', '-s -w', `github.com/versity/versitygw/cmd/versitygw@${versitygwVersion}`], {
      env: { ...env, GOBIN: staging, CGO_ENABLED: '0', GOFLAGS: '', GOGC: '800' },
      cwd: staging,
      progress: 'building versitygw',
      log,
    });
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    throw new UserError(`The S3 test server could not be built: ${error.message}`, 'Check that Go reaches its module proxy (go env GOPROXY), then run npm test again.');
  }
}
