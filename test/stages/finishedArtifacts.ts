// Artifacts with given contents: what a stage under test reads, without running the stages before it.
import { encodeActivationShard, type ActivationDtype } from '../../data/activationShard.ts';
import { artifactPath, specKey, writeManifest, writeSpec } from '../../data/artifact.ts';
import type { ArtifactStore } from '../../data/artifactStore.ts';
import type { FileEntry } from '../../schemas/artifact.ts';
import { activationsConfig } from '../../schemas/config.ts';
import { stageVersions, type ArtifactId, type StageSpec } from '../../schemas/stages.ts';

export interface GivenFile {
  path: string;
  bytes: Uint8Array;
  rows?: number;
}

/** Writes spec, files and manifest. */
export async function putArtifact(store: ArtifactStore, spec: StageSpec, given: GivenFile[], metrics: Record<string, number>): Promise<ArtifactId> {
  const { stage, config, inputs } = spec;
  const id: ArtifactId = { stage, key: specKey(spec) };
  await writeSpec(store, id, spec);
  const files: FileEntry[] = [];
  for (const { path, bytes, rows } of given) files.push({ path, ...(await store.put(artifactPath(id, path), bytes)), ...(rows === undefined ? {} : { rows }) });
  await writeManifest(store, {
    ...id,
    stageVersion: stageVersions[stage],
    config,
    inputs,
    files,
    shards: { total: files.length, skipped: [] },
    metrics,
    provenance: { codeVersion: 'given', machine: 'given', device: 'cpu', backend: 'none', threads: 1, node: process.version, createdAt: new Date(0).toISOString(), seconds: 0, gpuSeconds: 0 },
  });
  return id;
}

const unknown = '0'.repeat(64);

/** Activations as sampleActivations leaves them, of tokens and a model that are not there. Each shard is [rows · d]. */
export async function putActivations(store: ArtifactStore, shards: Float32Array[], d: number, { dtype = 'float16', hook = 'blocks.0.mlp.hook_post' }: { dtype?: ActivationDtype; hook?: string } = {}): Promise<ArtifactId> {
  const spec: StageSpec = { stage: 'sampleActivations', config: { seed: 1, hook, activations: activationsConfig.parse({ dtype }) }, inputs: { tokenize: unknown, trainTransformer: unknown } };
  const files = shards.map((activations, shard): GivenFile => {
    const rows = activations.length / d;
    const zeros = () => new Int32Array(rows);
    const bytes = encodeActivationShard({ activations, document: zeros(), position: zeros(), token: zeros(), d, dtype, metadata: {} });
    return { path: `shards/${String(shard).padStart(5, '0')}.parquet`, bytes, rows };
  });
  return putArtifact(store, spec, files, { d, vectors: files.reduce((sum, { rows }) => sum + rows!, 0) });
}
