import { CreateMultipartUploadCommand, S3Client, UploadPartCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openStore } from '../../data/artifactStore.ts';
import { UserError } from '../../schemas/errors.ts';
import { startS3Server, type RunningS3Server } from '../../setup/s3Server.ts';
import { describeStoreContract } from './storeContract.ts';

let server: RunningS3Server;
let prefixes = 0;

// The server is built on first use: several minutes on a machine whose set-up has not run.
beforeAll(async () => {
  server = await startS3Server('saeflow-test');
  Object.assign(process.env, server.env);
}, 1_200_000);
afterAll(() => server.stop());

describe('S3Store', () => {
  describeStoreContract(
    () => `s3://saeflow-test/run ${prefixes++}/deep`,
    async (uri, folder, bytes) => {
      const client = new S3Client({ forcePathStyle: true, requestChecksumCalculation: 'WHEN_REQUIRED' });
      const target = { Bucket: 'saeflow-test', Key: `${uri.slice('s3://saeflow-test/'.length)}/${folder}/large.parquet` };
      const { UploadId } = await client.send(new CreateMultipartUploadCommand(target));
      await client.send(new UploadPartCommand({ ...target, UploadId, PartNumber: 1, Body: Buffer.alloc(bytes) }));
      client.destroy();
    },
  );

  it('also works at the root of a bucket, and names itself without credentials', async () => {
    const store = openStore('s3://saeflow-test/');
    await store.put('root-object', Uint8Array.of(1, 2));
    expect((await store.list('root-')).map(({ path }) => path)).toEqual(['root-object']);
    expect(store.uri).toBe('s3://saeflow-test');
  });

  it('lists and deletes more objects than one page holds', async () => {
    const store = openStore('s3://saeflow-test/pages');
    const names = Array.from({ length: 1_050 }, (_, i) => `many/${String(i).padStart(5, '0')}`);
    for (let at = 0; at < names.length; at += 50) await Promise.all(names.slice(at, at + 50).map((name) => store.put(name, Uint8Array.of(1))));
    expect((await store.list('many/')).map(({ path }) => path)).toEqual(names);
    await store.deletePrefix('many/0');
    expect(await store.list('')).toEqual([]);
  });

  it('names the bucket that does not exist', async () => {
    await expect(openStore('s3://no-such-bucket/x').put('a', Uint8Array.of(1))).rejects.toThrow(/there is no bucket no-such-bucket/);
    await expect(openStore('s3://no-such-bucket/x').list('')).rejects.toThrow(UserError);
  });

  it('has no free space that anybody could tell', async () => {
    expect(await openStore('s3://saeflow-test/x').freeBytes()).toBeUndefined();
  });

  it('says what to do about wrong or missing credentials', async () => {
    const { AWS_SECRET_ACCESS_KEY: secret, AWS_ACCESS_KEY_ID: id } = server.env;
    try {
      process.env['AWS_SECRET_ACCESS_KEY'] = 'wrong';
      await expect(openStore('s3://saeflow-test/x').put('a', Uint8Array.of(1))).rejects.toThrow(/access to a is refused/);
      delete process.env['AWS_SECRET_ACCESS_KEY'];
      delete process.env['AWS_ACCESS_KEY_ID'];
      Object.assign(process.env, { AWS_EC2_METADATA_DISABLED: 'true', AWS_CONFIG_FILE: '/nonexistent', AWS_SHARED_CREDENTIALS_FILE: '/nonexistent' });
      await expect(openStore('s3://saeflow-test/x').get('a')).rejects.toThrow(/no S3 credentials were found/);
    } finally {
      Object.assign(process.env, { AWS_SECRET_ACCESS_KEY: secret, AWS_ACCESS_KEY_ID: id });
    }
  });
});
