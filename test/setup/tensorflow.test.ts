// Native TensorFlow's set-up: what it says when something is missing or changed, and that it is done once per machine.

import { cpSync, mkdirSync, mkdtempSync, readdirSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { Environment } from '../../setup/cache.ts';
import { findOnPath } from '../../setup/command.ts';
import { setUpTensorflow } from '../../setup/tensorflow.ts';
import { tensorflowArchives } from '../../setup/tensorflowPins.ts';

const scratch = mkdtempSync(join(tmpdir(), 'saeflow-tensorflow-'));
const projectModules = resolve(import.meta.dirname, '../../node_modules');
const archives = tensorflowArchives[`${process.platform}-${process.arch}`]?.cpu ?? [];
let counter = 0;

/** node_modules as `npm ci` leaves it: tfjs-node-gpu without a binding, everything else as it is. */
function freshModules(): string {
  const modules = join(scratch, `project-${counter++}`, 'node_modules');
  mkdirSync(join(modules, '@tensorflow'), { recursive: true });
  for (const name of readdirSync(projectModules)) {
    if (name !== '@tensorflow' && !name.startsWith('.')) symlinkSync(join(projectModules, name), join(modules, name));
  }
  for (const name of readdirSync(join(projectModules, '@tensorflow'))) {
    const from = join(projectModules, '@tensorflow', name);
    const to = join(modules, '@tensorflow', name);
    if (name !== 'tfjs-node-gpu') symlinkSync(from, to);
    else cpSync(from, to, { recursive: true, filter: (path) => dirname(path) !== from || !['deps', 'lib'].includes(path.slice(from.length + 1)) });
  }
  return modules;
}

/** An environment with an empty cache and a PATH of just the tools named. */
function bareEnvironment(tools: string[], more: Environment = {}): Environment {
  const folder = join(scratch, `env-${counter++}`);
  mkdirSync(join(folder, 'bin'), { recursive: true });
  for (const tool of tools) symlinkSync(findOnPath(tool, process.env) ?? `${tool}-is-missing`, join(folder, 'bin', tool));
  return { HOME: folder, PATH: join(folder, 'bin'), SAEFLOW_CACHE_DIR: join(folder, 'cache'), SAEFLOW_TF_VARIANT: 'cpu', ...more };
}

function leftInCache(env: Environment): string[] {
  return readdirSync(join(env['SAEFLOW_CACHE_DIR'] ?? '', 'tensorflow'));
}

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe('setUpTensorflow', () => {
  it('names the compiler and how to get one when there is none, before anything is fetched', async () => {
    const env = bareEnvironment([]);
    const lines: string[] = [];
    await expect(setUpTensorflow(env, (line) => lines.push(line), freshModules())).rejects.toMatchObject({
      name: 'UserError',
      message: expect.stringContaining('C++ compiler') as string,
      remedy: expect.stringMatching(/apt-get install -y .*g\+\+.*SAEFLOW_TF_VARIANT=wasm/) as string,
    });
    expect(lines).toEqual([]);
    expect(leftInCache(env)).toEqual([]);
  });

  it('names both ways of fetching when neither Python nor Maven is there', async () => {
    const env = bareEnvironment(['g++']);
    await expect(setUpTensorflow(env, () => undefined, freshModules())).rejects.toMatchObject({
      name: 'UserError',
      message: expect.stringMatching(/python3 is not on the PATH[^]*mvn \(Maven\) is not on the PATH/) as string,
      remedy: expect.stringContaining('python3-pip') as string,
    });
    expect(leftInCache(env)).toEqual([]);
  });

  it('refuses an archive whose SHA-256 is not the pinned one, and keeps nothing of it', async () => {
    for (const { file } of archives) {
      const changed = join(scratch, file);
      writeFileSync(changed, 'not the archive');
      const env = bareEnvironment(['g++'], { SAEFLOW_TF_ARCHIVE: changed });
      await expect(setUpTensorflow(env, () => undefined, freshModules())).rejects.toThrow(/SHA-256 [0-9a-f]{64}, not the pinned [0-9a-f]{64}; it was not used/);
      expect(leftInCache(env)).toEqual([]);
    }
  });

  it('refuses an archive it does not know, naming those it does', async () => {
    const env = bareEnvironment(['g++'], { SAEFLOW_TF_ARCHIVE: join(scratch, 'tensorflow-1.0.whl') });
    await expect(setUpTensorflow(env, () => undefined, freshModules())).rejects.toMatchObject({ remedy: expect.stringContaining(archives[0]?.file ?? 'none') as string });
  });

  it('refuses a variant that does not exist, and builds nothing for wasm', async () => {
    await expect(setUpTensorflow(bareEnvironment([], { SAEFLOW_TF_VARIANT: 'rocm' }), () => undefined, freshModules())).rejects.toThrow('SAEFLOW_TF_VARIANT=rocm');
    expect(await setUpTensorflow(bareEnvironment([], { SAEFLOW_TF_VARIANT: 'wasm' }), () => undefined, freshModules())).toMatchObject({ variant: 'wasm' });
  });

  it('links a second clone to the cache and proves it by a product, without fetching or compiling; a third run says nothing', async () => {
    const modules = freshModules();
    const lines: string[] = [];
    const { path } = await setUpTensorflow(process.env, (line) => lines.push(line), modules);
    expect(lines).toEqual([expect.stringMatching(/^native TensorFlow is ready: TensorFlow 2\.21\.0 on (CPU|GPU)$/)]);
    expect(readlinkSync(join(modules, '@tensorflow/tfjs-node-gpu/lib'))).toBe(join(path ?? '', 'lib'));

    expect(await setUpTensorflow(process.env, (line) => lines.push(line), modules)).toMatchObject({ path });
    expect(lines).toHaveLength(1);
  });
});
