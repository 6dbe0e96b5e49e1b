// Stores as kills leave them: artifacts in every state, drawn at random, and the rules of what is garbage said again, plainer.
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { artifactPath, writeManifest } from '../../data/artifact.ts';
import type { ArtifactStore } from '../../data/artifactStore.ts';
import { resolveInput } from '../../presets/resolve.ts';
import { stageVersions, type ArtifactId, type SpecOf } from '../../schemas/stages.ts';

const config = resolveInput('tiny');

/** A training of 60 steps with milestones at 20, 40 and 60; another for each seed. */
export function training(seed: number): SpecOf<'trainTransformer'> {
  return { stage: 'trainTransformer', config: { seed, ...config.transformer }, inputs: { tokenize: 'a'.repeat(64) } };
}

export const files = ['model.safetensors', 'metrics.jsonl', 'shards/00000.parquet', 'shards/00001.parquet', 'site/data/index.json', 'site/index.html', 'site/report.json', 'resampling/00020.json'];
const workFiles = ['work/computer.json', 'work/index/00000.json', 'work/activations/00001.safetensors'];
const bookkeeping = ['plan.json', 'receipts/00000.json'];
const temporaries = ['.tmp-1-ab', 'shards/.tmp-2-cd', 'work/.tmp-3-ef'];
const subset = (names: string[]) => fc.uniqueArray(fc.constantFrom(...names), { maxLength: names.length });

export const artifactArbitrary = fc.record({
  state: fc.constantFrom('finished', 'unfinished', 'inUse'),
  named: subset(files),
  others: fc.tuple(subset(files), subset(workFiles), subset(bookkeeping), subset(temporaries)).map((lists) => lists.flat()),
  checkpoints: fc.array(fc.record({ step: fc.constantFrom(0, 5, 10, 15, 20, 25, 30, 45), parts: subset(['json', 'safetensors']) }), { maxLength: 6 }),
  /** Which files are old, in the order they are made. */
  old: fc.array(fc.boolean(), { minLength: 40, maxLength: 40 }),
});

/** The rules again, of a file that is old and that no manifest names. */
export function isGarbage(path: string, state: string, paths: readonly string[]): boolean {
  if (state === 'inUse') return false;
  if (path.includes('.tmp-')) return true;
  if (state === 'finished') return path.startsWith('work/') || (!path.startsWith('receipts/') && path !== 'plan.json' && path !== 'site/index.html' && path !== 'site/report.json');
  const step = Number(/checkpoint-(\d+)/.exec(path)?.[1] ?? Number.NaN);
  if (Number.isNaN(step)) return false;
  const isWhole = (of: number) => ['json', 'safetensors'].every((part) => paths.includes(`work/checkpoint-${String(of).padStart(9, '0')}.${part}`));
  const newer = [0, 5, 10, 15, 20, 25, 30, 45].filter((other) => other > step && isWhole(other)).length;
  return !isWhole(step) || (newer >= 2 && step % 20 !== 0);
}

/** Commits an artifact whose manifest names `named`, which are there. */
export async function finish(store: ArtifactStore, id: ArtifactId, spec: SpecOf<'trainTransformer'>, named: string[]): Promise<void> {
  await writeManifest(store, {
    ...id,
    stageVersion: stageVersions[id.stage],
    config: spec.config,
    inputs: spec.inputs,
    files: await Promise.all(named.map(async (path) => ({ path, sha256: hashOf(await store.get(artifactPath(id, path))), bytes: await store.size(artifactPath(id, path)) }))),
    shards: { total: 0, skipped: [] },
    metrics: {},
    provenance: { codeVersion: 'test', machine: 'test', device: 'cpu', backend: 'none', threads: 1, node: process.version, createdAt: new Date(0).toISOString(), seconds: 0, gpuSeconds: 0 },
  });
}

export function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
