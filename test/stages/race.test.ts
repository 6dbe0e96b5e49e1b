// Two workers at one artifact, which a lost heartbeat or a partition of the network brings about: equal bytes, one
// manifest, and both go on from it. On a folder and on a real S3 server.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeTestCorpus } from '../../bench/corpus.ts';
import { artifactPath, listReceipts, readManifest, verifyArtifact } from '../../data/artifact.ts';
import { openStore, type ArtifactStore, type Stored } from '../../data/artifactStore.ts';
import { resolveCorpusFiles } from '../../data/corpusFiles.ts';
import { corpusPath } from '../../data/plans.ts';
import { resolveInput } from '../../presets/resolve.ts';
import { startS3Server, type RunningS3Server } from '../../setup/s3Server.ts';
import { runStage } from '../../stages/inProcess.ts';
import { tokenizeSpec } from '../../workflows/specs.ts';

let folder: string;
let server: RunningS3Server;
const corpusKey = 'c'.repeat(64);
const config = resolveInput('tiny');
const spec = tokenizeSpec({ ...config, tokenize: { ...config.tokenize, shardBytes: 65_536 } }, corpusKey);

// The server is built on first use: several minutes on a machine whose set-up has not run.
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'saeflow-race-'));
  await writeTestCorpus(join(folder, 'corpus.jsonl'));
  server = await startS3Server('saeflow-race');
  Object.assign(process.env, server.env);
}, 1_200_000);
afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

/** A worker's own client of a store, with what its attempts to write manifests were answered. */
function clientOf(uri: string, manifestsWritten: boolean[], shardsPut: Map<string, Stored[]>): ArtifactStore {
  const store = openStore(uri);
  const { put, putIfAbsent } = store;
  store.putIfAbsent = async (path, bytes) => {
    const written = await putIfAbsent.call(store, path, bytes);
    if (path.endsWith('/manifest.json')) manifestsWritten.push(written);
    return written;
  };
  store.put = async (path, bytes) => {
    const stored = await put.call(store, path, bytes);
    if (path.includes('/shards/')) shardsPut.set(path, [...(shardsPut.get(path) ?? []), stored]);
    return stored;
  };
  return store;
}

describe.each(['a folder', 'S3'])('two workers racing on the same shards, on %s', (kind) => {
  it('commit one manifest, and each file has the same bytes twice', async () => {
    const uri = kind === 'S3' ? 's3://saeflow-race/store' : join(folder, 'store');
    await openStore(uri).put(corpusPath(corpusKey), Buffer.from(JSON.stringify(await resolveCorpusFiles([join(folder, 'corpus.jsonl')], folder))));
    const manifestsWritten: boolean[] = [];
    const shardsPut = new Map<string, Stored[]>();
    const results = await Promise.all([1, 2].map(() => runStage(clientOf(uri, manifestsWritten, shardsPut), spec)));
    expect(results[0]!.artifact).toEqual(results[1]!.artifact);
    expect(manifestsWritten.sort()).toEqual([false, true]);
    // both made the shards, or nothing raced
    expect([...shardsPut.values()].filter(({ length }) => length === 2).length).toBeGreaterThan(4);
    for (const [path, [first, second = first]] of shardsPut) expect(second, path).toEqual(first);
    const store = openStore(uri);
    const id = results[0]!.artifact;
    expect(await verifyArtifact(store, id, { ancestors: false })).toEqual([]);
    expect((await listReceipts(store, id)).map(({ shard }) => shard)).toEqual(Array.from({ length: (await readManifest(store, id))!.shards.total }, (_, shard) => shard));
    expect((await store.list(artifactPath(id, ''))).filter(({ path }) => path.endsWith('manifest.json'))).toHaveLength(1);
    expect(await store.listUnfinished()).toEqual([]);
  }, 120_000);
});
