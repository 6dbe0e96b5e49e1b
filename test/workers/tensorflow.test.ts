// The backend loader on the real binding, each case in a process of its own: an engine can be chosen once per process.

import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tensorflowNoise } from '../../workers/tensorflow.ts';

const root = resolve(import.meta.dirname, '../..');
const tsx = pathToFileURL(join(root, 'node_modules/tsx/dist/esm/index.mjs')).href;
const run = promisify(execFile);

/** Loads the backend in `project`, multiplies through tfjs-core imported as ESM, and reports what it saw as JSON. */
function programFor(project: string): string {
  return `
    import * as tf from '@tensorflow/tfjs-core';
    import { loadBackend } from ${JSON.stringify(join(project, 'workers/tensorflow.ts'))};
    const backend = await loadBackend({ threads: 1 });
    const product = [...tf.matMul(tf.tensor2d([1, 2, 3, 4], [2, 2]), tf.tensor2d([5, 6, 7, 8], [2, 2])).dataSync()];
    const gradient = [...tf.grad((x) => tf.sum(tf.mul(x, x)))(tf.tensor1d([3, 4])).dataSync()];
    console.log(JSON.stringify({ backend, selected: tf.getBackend(), product, gradient, intra: process.env.TF_NUM_INTRAOP_THREADS, inter: process.env.TF_NUM_INTEROP_THREADS }));
  `;
}

async function loadIn(project: string, env: Record<string, string> = {}): Promise<{ seen: Record<string, unknown>; stderr: string; stdout: string }> {
  const { stdout, stderr } = await run(process.execPath, ['--import', tsx, '--input-type=module', '-e', programFor(project)], {
    cwd: project,
    env: { ...process.env, ...env },
  });
  return { seen: JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Record<string, unknown>, stderr, stdout };
}

describe('loadBackend', () => {
  let unbound: string;

  // A project whose tfjs-node-gpu is as npm leaves it, before set-up has linked a binding.
  beforeAll(() => {
    unbound = mkdtempSync(join(tmpdir(), 'saeflow-unbound-'));
    for (const folder of ['workers', 'schemas', 'setup', 'model', 'data', 'native']) cpSync(join(root, folder), join(unbound, folder), { recursive: true });
    writeFileSync(join(unbound, 'package.json'), '{"type":"module"}');
    const scope = 'node_modules/@tensorflow';
    mkdirSync(join(unbound, scope), { recursive: true });
    for (const name of readdirSync(join(root, scope))) {
      if (name !== 'tfjs-node-gpu') symlinkSync(join(root, scope, name), join(unbound, scope, name));
    }
    cpSync(join(root, scope, 'tfjs-node-gpu'), join(unbound, scope, 'tfjs-node-gpu'), {
      recursive: true,
      filter: (path) => !/tfjs-node-gpu\/(deps|lib)$/.test(path),
    });
    symlinkSync(join(root, 'node_modules/@mapbox'), join(unbound, 'node_modules/@mapbox'));
    for (const name of ['google-protobuf', 'progress', 'rimraf', 'tar', 'https-proxy-agent', 'adm-zip']) {
      symlinkSync(join(root, 'node_modules', name), join(unbound, 'node_modules', name));
    }
  });

  afterAll(() => rmSync(unbound, { recursive: true, force: true }));

  it('runs tfjs-core imported as an ES module on native TensorFlow, with the threads asked for', async () => {
    const { seen, stderr, stdout } = await loadIn(root);
    expect(seen).toMatchObject({
      backend: { name: 'tensorflow', tensorflowVersion: '2.21.0', threads: 1 },
      selected: 'tensorflow',
      product: [19, 22, 43, 50],
      gradient: [6, 8],
      intra: '1',
      inter: '1',
    });
    expect(stderr.trim().split('\n').filter((line) => line !== '' && !tensorflowNoise.test(line))).toEqual([]);
    expect(stdout.trim().split('\n')).toHaveLength(1);
  });

  it('falls back to WASM in one line that names the reason when the binding is missing', async () => {
    const { seen, stderr } = await loadIn(unbound);
    expect(seen).toMatchObject({ backend: { name: 'wasm', device: 'cpu' }, selected: 'wasm', product: [19, 22, 43, 50], gradient: [6, 8] });
    expect(stderr).toMatch(/native TensorFlow is not in use \(.*tfjs_binding\.node.*\); running on WASM.*npm run setup/);
  });

  it('uses WASM when SAEFLOW_TF_VARIANT says so', async () => {
    const { seen, stderr } = await loadIn(root, { SAEFLOW_TF_VARIANT: 'wasm' });
    expect(seen).toMatchObject({ backend: { name: 'wasm' }, selected: 'wasm' });
    expect(stderr).toContain('SAEFLOW_TF_VARIANT=wasm');
  });
});
