// What repeats exactly, and what does not: fresh processes with as many threads end with the same bytes; with fewer
// threads floats may add up in another order. docs/numerics.md says how far that goes (test/model/threads.ts).
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { artifactPath } from '../../data/artifact.ts';
import type { ArtifactStore } from '../../data/artifactStore.ts';
import { decodeSafetensors } from '../../data/safetensors.ts';
import type { StageSpec } from '../../schemas/stages.ts';
import { idOf, TinyInputs } from './tinyInputs.ts';

/** Large enough that TensorFlow cuts every product in pieces for its threads. */
function trainings(inputs: TinyInputs): { transformer: StageSpec; sae: StageSpec; resampled: StageSpec } {
  const transformer = inputs.transformer({ steps: 50, batchSize: 32, gradientAccumulation: 1, evaluateEverySteps: 50 });
  transformer.config.architecture = { ...transformer.config.architecture, nHead: 4, dModel: 128, dMlp: 512 };
  const sae = (steps: number[]) => inputs.sae({ features: 1_024, batchSize: 1_024, epochs: 7, segmentSteps: 50, resampling: { ...inputs.config.saes[0]!.resampling, steps } });
  return { transformer, sae: sae([]), resampled: sae([20, 40]) };
}

let inputs: TinyInputs;
let specs: ReturnType<typeof trainings>;
beforeAll(async () => {
  inputs = await TinyInputs.make();
  specs = trainings(inputs);
});
afterAll(() => inputs.remove());

/** Makes all trainings in a fresh process. */
async function train(name: string, threads: number): Promise<{ store: ArtifactStore; hashes: string[] }> {
  const store = await inputs.copy(name);
  const paths = await Promise.all(
    Object.entries(specs).map(async ([training, spec]) => {
      const path = join(inputs.folder, `${training}.json`);
      await writeFile(path, JSON.stringify(spec));
      return path;
    }),
  );
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', join(import.meta.dirname, 'trainProcess.ts'), store.uri, String(threads), ...paths]);
  return { store, hashes: stdout.trim().split('\n') };
}

describe('50 steps of a transformer and of SAEs, in fresh processes', () => {
  it('end with the same bytes on two threads, and on one with the same weights but for last digits', async () => {
    const [two, again, one] = [await train('two', 2), await train('again', 2), await train('one', 1)];
    expect(two.hashes).toHaveLength(3);
    expect(again.hashes).toEqual(two.hashes);
    for (const [spec, path] of [[specs.transformer, 'model.safetensors'], [specs.sae, 'sae_weights.safetensors']] as const) {
      for (const difference of await relativeDifferences(artifactPath(idOf(spec), path), two.store, one.store)) expect(difference).toBeLessThan(1e-3);
    }
  }, 300_000);
});

/** ‖a − b‖ / ‖a‖ of each tensor. */
async function relativeDifferences(path: string, a: ArtifactStore, b: ArtifactStore): Promise<number[]> {
  const [left, right] = await Promise.all([a, b].map(async (store) => decodeSafetensors(await store.get(path)).tensors));
  return Object.entries(left!).map(([name, { data }]) => {
    const values = data as Float32Array;
    const others = right![name]!.data as Float32Array;
    return norm(values.map((value, index) => value - others[index]!)) / norm(values);
  });
}

function norm(values: Float32Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
}
