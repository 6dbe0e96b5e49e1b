// Numbers that are not finite, in activations whose every hash is right: refused by name, where they are made and where
// they are read.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { decodeActivationShard, encodeActivationShard } from '../../data/activationShard.ts';
import { artifactPath, listReceipts, writeManifest } from '../../data/artifact.ts';
import type { ArtifactStore } from '../../data/artifactStore.ts';
import { manifestOf } from '../../data/inputs.ts';
import { decodeSafetensors, encodeSafetensors } from '../../data/safetensors.ts';
import type { ArtifactId } from '../../schemas/stages.ts';
import { runStage } from '../../stages/inProcess.ts';
import { failureOf, idOf, TinyInputs } from './tinyInputs.ts';

let inputs: TinyInputs;
beforeAll(async () => void (inputs = await TinyInputs.make()));
afterAll(() => inputs.remove());

it.each([
  ['the initial weights are made', NaN, 4_096, 'delete sampleActivations/'],
  ['training reads them', NaN, 128, 'delete sampleActivations/'],
  ['training reads them, after float16 overflowed', Infinity, 128, 'sample with activations.dtype float32'],
])('are refused when %s, by shard, row, document and token, whatever onDivergence says', async (_, value, initVectors, remedy) => {
  const path = 'shards/00001.parquet';
  const row = 77;
  const id = idOf(inputs.activations());
  const other = await inputs.copy(`activations-${value}-${initVectors}`, /^sampleActivations.*manifest\.json$/);
  const { rows, ...shard } = await decodeActivationShard(await other.get(artifactPath(id, path)));
  shard.activations[row * shard.d + 3] = value;
  await replace(other, id, path, encodeActivationShard(shard));

  const error = await failureOf(other, inputs.sae({ initVectors, onDivergence: 'halveLearningRate' }));
  expect(row).toBeLessThan(rows);
  expect(error.message).toContain(`sampleActivations/${id.key}/${path}: row ${row} is not finite, component 3 is ${value} (token ${shard.position[row]} of document "`);
  expect(error.message).toMatch(/document "\w+" \(corpus\.jsonl:\d+\), batch \d+ of the shuffled reader\)/);
  expect(error.remedy).toContain(remedy);
});

it('are refused when they are sampled, where float16 cannot hold them', async () => {
  const id = idOf(inputs.transformer({}));
  const other = await inputs.copy('large-model', /^sampleActivations|^trainTransformer.*manifest\.json$/);
  const { tensors } = decodeSafetensors(await other.get(artifactPath(id, 'model.safetensors')));
  const name = 'transformer.h.0.mlp.c_fc.weight';
  const large = { ...tensors[name]!, data: (tensors[name]!.data as Float32Array).map((weight) => weight * 1e6) };
  await replace(other, id, 'model.safetensors', encodeSafetensors({ ...tensors, [name]: large }, { format: 'pt' }));

  const error = await failureOf(other, inputs.activations());
  expect(error.message).toMatch(/^blocks\.0\.mlp\.hook_post: component \d+ is [\d.]+ at token \d+ of document "\w+" \(corpus\.jsonl:\d+\), which activations\.dtype float16 does not hold \(shard 0, and \d+ more in the batch\)$/);
  expect(error.remedy).toBe('Set activations.dtype to float32, or activations.onOverflow to saturate.');
});

it('are float16\'s largest where saturating is asked for, and counted in receipts, manifest and nowhere else', async () => {
  const id = idOf(inputs.transformer({}));
  const other = await inputs.copy('saturated', /^sampleActivations|^trainTransformer.*manifest\.json$/);
  const { tensors } = decodeSafetensors(await other.get(artifactPath(id, 'model.safetensors')));
  const name = 'transformer.h.0.mlp.c_fc.weight';
  const data = tensors[name]!.data as Float32Array;
  // one feature of the MLP in many
  const large = { ...tensors[name]!, data: data.map((weight, index) => (index < tensors[name]!.shape[1]! ? weight * 1e6 : weight)) };
  await replace(other, id, 'model.safetensors', encodeSafetensors({ ...tensors, [name]: large }, { format: 'pt' }));

  const spec = inputs.activations();
  const saturating = { ...spec, config: { ...spec.config, activations: { ...spec.config.activations, onOverflow: 'saturate' as const } } };
  const { artifact } = await runStage(other, saturating);
  const { files, metrics } = await manifestOf(other, 'sampleActivations', artifact.key);
  const receipts = await listReceipts(other, artifact);
  const saturated = await Promise.all(files.map(async ({ path }) => (await decodeActivationShard(await other.get(artifactPath(artifact, path)))).activations.filter((value) => Math.abs(value) === 65_504).length));
  expect(receipts.map(({ metrics }) => metrics['overflows'])).toEqual(saturated);
  expect(metrics['overflows']).toBe(saturated.reduce((sum, count) => sum + count, 0));
  expect(metrics['overflows']).toBeGreaterThan(0);
  expect(metrics['largest']).toBe(65_504);
  const { metrics: usual } = await manifestOf(inputs.store, 'sampleActivations', idOf(spec).key);
  expect(usual['overflows']).toBe(0);
  expect(usual['largest']).toBeLessThan(65_504);
});

/** Puts other bytes in the place of a file, with a manifest that says so. */
async function replace(store: ArtifactStore, id: ArtifactId, path: string, bytes: Uint8Array): Promise<void> {
  const manifest = await manifestOf(inputs.store, id.stage, id.key);
  const stored = await store.put(artifactPath(id, path), bytes);
  await writeManifest(store, { ...manifest, files: manifest.files.map((entry) => (entry.path === path ? { ...entry, ...stored } : entry)) });
}
