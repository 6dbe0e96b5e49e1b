// Garbage in a bucket: as in a folder, and uploads in parts that never ended, which no listing of objects shows. Random
// stores on a real server, against the plainer rules.
import { randomBytes } from 'node:crypto';
import { CreateMultipartUploadCommand, S3Client, UploadPartCommand } from '@aws-sdk/client-s3';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { artifactPath, specKey, writeSpec } from '../../data/artifact.ts';
import { openStore, type ArtifactStore } from '../../data/artifactStore.ts';
import { deleteGarbage, findGarbage } from '../../data/garbage.ts';
import { startS3Server, type RunningS3Server } from '../../setup/s3Server.ts';
import { artifactArbitrary, files, finish, hashOf, isGarbage, training } from './garbageFixtures.ts';

const bucket = 'saeflow-garbage';
const hourMs = 3_600_000;
let server: RunningS3Server;
let client: S3Client;
let stores = 0;

// The server is built on first use: several minutes on a machine whose set-up has not run.
beforeAll(async () => {
  server = await startS3Server(bucket);
  Object.assign(process.env, server.env);
  client = new S3Client({ forcePathStyle: true, requestChecksumCalculation: 'WHEN_REQUIRED' });
}, 1_200_000);
afterAll(async () => {
  client.destroy();
  await server.stop();
});

const uploadArbitrary = fc.record({ artifact: fc.nat(2), path: fc.constantFrom(...files), parts: fc.nat(2), old: fc.boolean() });

it('gc removes every orphan from a bucket, uploads that never ended too, and nothing that is referenced, young or being made', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(artifactArbitrary, { minLength: 1, maxLength: 3 }), fc.array(uploadArbitrary, { maxLength: 5 }), async (artifacts, uploads) => {
      const prefix = `store-${stores++}`;
      const store = openStore(`s3://${bucket}/${prefix}`);
      const busy = new Set<string>();
      const goes = new Set<string>();
      const objects: { path: string; old: boolean }[] = [];
      const made = artifacts.map(({ state, named, others, checkpoints, old }, seed) => {
        const spec = training(seed);
        const id = { stage: spec.stage, key: specKey(spec) };
        if (state === 'inUse') busy.add(id.key);
        const steps = checkpoints.flatMap(({ step, parts }) => parts.map((part) => `work/checkpoint-${String(step).padStart(9, '0')}.${part}`));
        // A writer to a bucket leaves no temporary files.
        const paths = [...new Set([...(state === 'finished' ? named : []), ...others, ...steps])].filter((path) => !path.includes('.tmp-'));
        for (const [index, path] of paths.entries()) {
          const isOld = old[index % old.length]!;
          objects.push({ path: artifactPath(id, path), old: isOld });
          if (isOld && !(state === 'finished' && named.includes(path)) && isGarbage(path, state, paths)) goes.add(artifactPath(id, path));
        }
        return { id, spec, state, named };
      });
      const writes = uploads.map(({ artifact, ...upload }) => ({ ...upload, id: made[artifact % made.length]!.id }));

      const placed = new Map<string, string>();
      const place = async (isOld: boolean) => {
        await Promise.all(objects.filter(({ old }) => old === isOld).map(async ({ path }) => void placed.set(path, (await store.put(path, randomBytes(100))).sha256)));
        for (const { id, path, parts, old } of writes) {
          if (old !== isOld) continue;
          const uploadId = await leaveUpload(`${prefix}/${artifactPath(id, path)}`, parts);
          if (isOld && !busy.has(id.key)) goes.add(uploadId);
        }
      };
      for (const { id, spec } of made) await writeSpec(store, id, spec);
      await place(true);
      const oldUntilMs = Math.max(...[...(await store.list('')), ...(await store.listUnfinished())].map(({ modifiedAt }) => modifiedAt.getTime()));
      await outlast(store, oldUntilMs);
      await place(false);
      for (const { id, spec, state, named } of made) if (state === 'finished') await finish(store, id, spec, named);
      const before = (await store.list('')).map(({ path }) => path);
      const uploadsBefore = (await store.listUnfinished()).map(({ uploadId }) => uploadId!);
      expect(uploadsBefore).toHaveLength(uploads.length);

      const search = { olderThanMs: hourMs, nowMs: oldUntilMs + hourMs, inUse: ({ key }: { key: string }) => busy.has(key) };
      const { garbage } = await findGarbage(store, search);
      expect(new Set(garbage.map(({ path, unfinished }) => unfinished?.uploadId ?? path))).toEqual(goes);
      expect(await deleteGarbage(store, garbage)).toHaveLength(goes.size);

      expect((await store.list('')).map(({ path }) => path)).toEqual(before.filter((path) => !goes.has(path)));
      expect((await store.listUnfinished()).map(({ uploadId }) => uploadId).sort()).toEqual(uploadsBefore.filter((upload) => !goes.has(upload)).sort());
      for (const [path, sha256] of placed) if (!goes.has(path)) expect(hashOf(await store.get(path)), path).toBe(sha256);
      expect((await findGarbage(store, search)).garbage).toEqual([]);
    }),
    { numRuns: 10 },
  );
}, 300_000);

/** As a writer that dies leaves it; returns the upload's id. */
async function leaveUpload(key: string, parts: number): Promise<string> {
  const target = { Bucket: bucket, Key: key };
  const { UploadId } = await client.send(new CreateMultipartUploadCommand(target));
  for (let part = 1; part <= parts; part++) await client.send(new UploadPartCommand({ ...target, UploadId, PartNumber: part, Body: Buffer.alloc(1_000, part) }));
  return UploadId!;
}

/** Until what is written is younger than `ms`: S3 tells whole seconds. */
async function outlast(store: ArtifactStore, ms: number): Promise<void> {
  do await store.put('clock', Buffer.from('tick'));
  while ((await store.list('clock'))[0]!.modifiedAt.getTime() <= ms);
}
