// Our side of writing an activation shard, and the raw writing it is held against. `shard`: float32 vectors to half
// precision, Parquet and the store, as stages/sampleShard.ts does it, overflow check and SHA-256 included. `raw`: the same
// number of bytes, ready in memory, written as plainly as the system allows. Argument: {mode, store, rows, d}.
import { open } from 'node:fs/promises';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { bytesPerNumber, rowsPerGroup, type RowGroup } from '../../data/activationFormat.ts';
import { activationShardPieces } from '../../data/activationWriter.ts';
import { openStore } from '../../data/artifactStore.ts';
import { RandomStream } from '../../schemas/random.ts';
import { RestingNumbers } from '../../stages/restingNumbers.ts';
import { registerNativeSaeKernel } from '../../workers/saeKernel.ts';
import { serveSide } from './serve.ts';

const { mode, store: uri, rows, d, threads } = z.object({ mode: z.enum(['shard', 'raw']), store: z.string(), rows: z.int(), d: z.int(), threads: z.int() }).parse(JSON.parse(process.argv[2]!));
registerNativeSaeKernel(threads);
const store = openStore(uri);
const vectors = gelu(Math.min(rows, 4 * rowsPerGroup) * d);

const places = new Uint32Array(rowsPerGroup).map((_, row) => row);

/** The shard's memory, which sampling fills batch by batch. */
const shardMemory = new Uint8Array(rows * d * bytesPerNumber.float16).fill(1);

/** Row groups of vectors that are converted, each into its place, when they are asked for. */
function* groups(): Generator<RowGroup> {
  const numbers = new RestingNumbers({ dtype: 'float16', onOverflow: 'fail' });
  for (let start = 0; start < rows; start += rowsPerGroup) {
    const count = Math.min(rowsPerGroup, rows - start);
    const from = start % (vectors.length / d);
    const activation = shardMemory.subarray(start * d * bytesPerNumber.float16, (start + count) * d * bytesPerNumber.float16);
    numbers.rest(vectors.subarray(from * d, (from + count) * d), d, places.subarray(0, count), activation, () => new Error('a number too large'));
    const column = () => new Int32Array(count).fill(start);
    yield { activation, document: column(), position: column(), token: column() };
  }
}

const bytes = Buffer.concat([...activationShardPieces({ d, dtype: 'float16', metadata: {} }, mode === 'raw' ? groups() : [])]);
const path = `shards/${mode}.parquet`;

async function writeRaw(): Promise<number> {
  if (uri.startsWith('s3://')) return (await putRaw(bytes)).length;
  mkdirSync(join(uri, 'shards'), { recursive: true });
  const file = await open(join(uri, path), 'w');
  try {
    for (let at = 0; at < bytes.length; at += 4 * 2 ** 20) await file.write(bytes.subarray(at, at + 4 * 2 ** 20));
    await file.sync();
  } finally {
    await file.close();
  }
  return bytes.length;
}

/** The SDK's own multipart upload, as the store's, of what is there already. */
async function putRaw(body: Uint8Array): Promise<Uint8Array> {
  const { S3Client } = await import('@aws-sdk/client-s3');
  const { Upload } = await import('@aws-sdk/lib-storage');
  const client = new S3Client({ requestChecksumCalculation: 'WHEN_REQUIRED', responseChecksumValidation: 'WHEN_REQUIRED', forcePathStyle: true });
  const [, bucket] = /^s3:\/\/([^/]+)/.exec(uri)!;
  await new Upload({ client, params: { Bucket: bucket, Key: path, Body: body }, partSize: 32 * 2 ** 20, queueSize: 4 }).done();
  client.destroy();
  return body;
}

await serveSide({ name: mode === 'raw' ? 'raw write, Node' : 'Node', tensorflowVersion: process.versions.node, threads: 1 }, async () => {
  const written = mode === 'raw' ? await writeRaw() : (await store.putPieces(path, activationShardPieces({ d, dtype: 'float16', metadata: {} }, groups()))).bytes;
  return { values: { bytes: written } };
});

/** Numbers as an MLP's nonlinearity gives them: most of them small and negative. */
function gelu(count: number): Float32Array {
  const stream = new RandomStream(1, 'bench', 'shards');
  return Float32Array.from({ length: count }, () => {
    const x = stream.normal();
    return x / (1 + Math.exp(-1.702 * x));
  });
}
