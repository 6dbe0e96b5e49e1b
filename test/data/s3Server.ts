// A real S3 server (versitygw, built by setup/s3Server.ts) for one test file: own port, own folder, own pid.
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureS3Server, startS3Process, type RunningS3Server } from '../../setup/s3Server.ts';

/** Starts a server that holds the (empty) bucket `bucket`; set its `env` before the first object of an S3 store is touched. */
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

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((done) => probe.listen(0, '127.0.0.1', done));
  const { port } = probe.address() as AddressInfo;
  await new Promise((done) => probe.close(done));
  return port;
}
