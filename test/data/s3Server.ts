// Starts a real S3 server (versitygw, built by setup/s3Server.ts) for one test file: own port, own folder, own pid.
import { spawn } from 'node:child_process';
import { mkdtemp, mkdir, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ensureS3Server } from '../../setup/s3Server.ts';

export interface RunningS3Server {
  endpoint: string;
  /** Set these in process.env before the first object of an S3 store is touched. */
  env: Record<string, string>;
  stop(): Promise<void>;
}

/** Starts a server that holds the (empty) bucket `bucket`. */
export async function startS3Server(bucket: string): Promise<RunningS3Server> {
  const binary = await ensureS3Server();
  const folder = await mkdtemp(join(tmpdir(), 'saeflow-s3-'));
  await mkdir(join(folder, 'data', bucket), { recursive: true });
  await mkdir(join(folder, 'metadata'));
  const port = await freePort();
  const access = 'test-access';
  const secret = 'test-secret-key';
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
    endpoint,
    env: { AWS_ENDPOINT_URL_S3: endpoint, AWS_ACCESS_KEY_ID: access, AWS_SECRET_ACCESS_KEY: secret, AWS_REGION: 'us-east-1' },
    stop: async () => {
      server.kill('SIGTERM');
      await exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function answers(endpoint: string): Promise<boolean> {
  return fetch(endpoint).then(
    () => true,
    () => false,
  );
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((done) => probe.listen(0, '127.0.0.1', done));
  const { port } = probe.address() as AddressInfo;
  await new Promise((done) => probe.close(done));
  return port;
}
