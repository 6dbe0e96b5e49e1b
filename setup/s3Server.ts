// The S3 store is tested against a real server: versitygw, an S3 gateway in Go that keeps objects as plain files and
// honours If-None-Match. It is built from the Go module proxy, once per machine, into the cache outside the clone.

import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
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

export interface RunningS3Server {
  pid: number;
  endpoint: string;
  /** Where and as whom: what the AWS SDK reads from the environment. */
  env: Record<string, string>;
  /** Ends it in order; returns when it is gone. */
  stop(): Promise<void>;
}

const credentials = { access: 'test-access', secret: 'test-secret-key' };

/**
 * Starts a server with a port and a temporary folder of its own, gone with it, that holds the (empty) bucket `bucket`; set
 * its `env` before the first object of an S3 store is touched.
 */
export async function startS3Server(bucket: string): Promise<RunningS3Server> {
  const binary = await ensureS3Server();
  const folder = await mkdtemp(join(tmpdir(), 'saeflow-s3-'));
  const server = await startS3Process(binary, { folder, bucket, port: await freePort() });
  return {
    ...server,
    stop: async () => {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Starts the server of `folder` (made if need be, with an empty bucket) on 127.0.0.1; returns once it answers. */
export async function startS3Process(binary: string, { folder, bucket, port }: { folder: string; bucket: string; port: number }): Promise<RunningS3Server> {
  await mkdir(join(folder, 'data', bucket), { recursive: true });
  await mkdir(join(folder, 'metadata'), { recursive: true });
  const { access, secret } = credentials;
  const server = spawn(binary, ['--port', `127.0.0.1:${port}`, '--access', access, '--secret', secret, '--quiet', 'posix', '--sidecar', join(folder, 'metadata'), join(folder, 'data')], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const exited = new Promise<void>((done) => server.on('exit', () => done()));
  let said = '';
  server.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  const endpoint = `http://127.0.0.1:${port}`;
  while (!(await answers(endpoint))) {
    if (server.exitCode !== null) throw new Error(`versitygw ended with ${server.exitCode}: ${said}`);
    await sleep(50);
  }
  return {
    pid: server.pid!,
    endpoint,
    env: { AWS_ENDPOINT_URL_S3: endpoint, AWS_ACCESS_KEY_ID: access, AWS_SECRET_ACCESS_KEY: secret, AWS_REGION: 'us-east-1' },
    stop: async () => {
      server.kill('SIGTERM');
      await exited;
    },
  };
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((done) => probe.listen(0, '127.0.0.1', done));
  const { port } = probe.address() as AddressInfo;
  await new Promise((done) => probe.close(done));
  return port;
}

async function answers(endpoint: string): Promise<boolean> {
  return fetch(endpoint).then(
    () => true,
    () => false,
  );
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
