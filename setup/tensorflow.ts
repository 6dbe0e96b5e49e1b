// Native TensorFlow for TensorFlow.js: libtensorflow from a registry package, TensorFlow.js's own binding compiled
// against it, both kept in the cache and linked into node_modules. Proven by a multiplication before it counts as done.

import { existsSync, readlinkSync } from 'node:fs';
import { mkdir, readFile, realpath, rename, rm, symlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { UserError } from '../schemas/errors.ts';
import { buildOnce, cacheDirectory, requireFreeBytes, type Environment } from './cache.ts';
import { findOnPath, runCommand, tryCommand } from './command.ts';
import { libtensorflowVersion, neededDiskBytes, nodeApiVersion, tensorflowArchives, type TensorflowVariant } from './tensorflowPins.ts';
import { fetchCudaLibraries, fetchLibtensorflow, prerequisitesRemedy, type FetchContext } from './tensorflowSource.ts';

const projectRoot = resolve(import.meta.dirname, '..');
const bindingFile = join('lib', `napi-v${nodeApiVersion}`, 'tfjs_binding.node');

/** What set-up left behind. */
export interface TensorflowSetup {
  variant: TensorflowVariant;
  /** The cache entry that node_modules links to; absent for wasm. */
  path?: string;
  /** Why native TensorFlow is not used, when it isn't. */
  reason?: string;
}

/**
 * Makes `@tensorflow/tfjs-node-gpu` under `modules` loadable; does nothing when it already is.
 *
 * `SAEFLOW_TF_VARIANT` = cpu | cuda | wasm overrules the choice (cuda where an NVIDIA driver is found, else cpu).
 *
 * @throws UserError naming the missing program, header or disk space and its remedy.
 */
export async function setUpTensorflow(
  env: Environment = process.env,
  log: (line: string) => void = console.log,
  modules: string = join(projectRoot, 'node_modules'),
): Promise<TensorflowSetup> {
  const platform = `${process.platform}-${process.arch}`;
  const variant = chooseVariant(env);
  if (variant === 'wasm') return { variant, reason: 'SAEFLOW_TF_VARIANT=wasm' };
  const archives = tensorflowArchives[platform]?.[variant];
  if (!archives) {
    const reason = `no ${variant} build of libtensorflow ${libtensorflowVersion} is known for ${platform}`;
    if (env['SAEFLOW_TF_VARIANT']) throw new UserError(`SAEFLOW_TF_VARIANT=${variant}: ${reason}.`, 'Unset it, or set it to wasm.');
    log(`${reason}: TensorFlow.js will run on WASM (about 10 times slower)`);
    return { variant: 'wasm', reason };
  }
  const bindingPackage = await realpath(join(modules, '@tensorflow', 'tfjs-node-gpu'));
  const path = await cacheEntry(env, platform, variant, bindingPackage);
  if (isLinked(bindingPackage, path)) return { variant, path };

  const context: FetchContext = { env, log };
  await buildOnce(path, async (staging) => {
    requireCompiler(env);
    const nodeHeaders = findNodeHeaders(env);
    await requireFreeBytes(dirname(path), neededDiskBytes[variant], `Setting up native TensorFlow (${variant})`);
    await fetchLibtensorflow(archives, staging, context);
    if (variant === 'cuda') await fetchCudaLibraries(staging, context);
    await compileBinding(bindingPackage, nodeHeaders, staging, context);
  }, log);
  await linkInto(bindingPackage, path);
  log(`native TensorFlow is ready: ${await multiplyInChild(bindingPackage, env)}`);
  return { variant, path };
}

/** True where an NVIDIA driver is loaded. */
export function hasNvidiaDriver(): boolean {
  return existsSync('/proc/driver/nvidia/version') || existsSync('/dev/nvidiactl') || existsSync('/dev/dxg');
}

function chooseVariant(env: Environment): TensorflowVariant {
  const wanted = env['SAEFLOW_TF_VARIANT'];
  if (!wanted) return hasNvidiaDriver() ? 'cuda' : 'cpu';
  if (wanted === 'cpu' || wanted === 'cuda' || wanted === 'wasm') return wanted;
  throw new UserError(`SAEFLOW_TF_VARIANT=${wanted} is not one of cpu, cuda, wasm.`, 'Unset it, or set it to one of these.');
}

async function cacheEntry(env: Environment, platform: string, variant: string, bindingPackage: string): Promise<string> {
  const { version } = JSON.parse(await readFile(join(bindingPackage, 'package.json'), 'utf8')) as { version: string };
  return join(cacheDirectory(env), 'tensorflow', `${libtensorflowVersion}-${variant}-tfjs${version}-napi${nodeApiVersion}-${platform}`);
}

function requireCompiler(env: Environment): void {
  if (findCompiler(env)) return;
  throw new UserError('No C++ compiler is on the PATH; TensorFlow.js’s binding is compiled on this machine (10 s).', prerequisitesRemedy);
}

/** The C++ compiler: `CXX`, else g++, clang++ or c++ on the PATH. */
export function findCompiler(env: Environment): string | undefined {
  const names = env['CXX'] ? [env['CXX']] : ['g++', 'clang++', 'c++'];
  return names.map((name) => (existsSync(name) ? name : findOnPath(name, env))).find((path) => path !== undefined);
}

/** The folder of node_api.h that belongs to the running Node. */
export function findNodeHeaders(env: Environment): string {
  const prefixes = [env['npm_config_nodedir'], resolve(process.execPath, '..', '..')];
  for (const prefix of prefixes) {
    const folder = prefix ? join(prefix, 'include', 'node') : '';
    if (folder && existsSync(join(folder, 'node_api.h'))) return folder;
  }
  throw new UserError(
    `Node's headers are not beside ${process.execPath} (no include/node/node_api.h).`,
    'Install them (Debian, Ubuntu: apt-get install -y libnode-dev), use a Node from nodejs.org or nvm, or set npm_config_nodedir to the folder that holds include/node.',
  );
}

/** Two source files on the stable Node-API: the compiler alone does it, without node-gyp and the make and Python it wants. */
async function compileBinding(bindingPackage: string, nodeHeaders: string, staging: string, { env, log }: FetchContext): Promise<void> {
  log('compiling TensorFlow.js’s binding');
  const output = join(staging, bindingFile);
  await mkdir(dirname(output), { recursive: true });
  const sources = ['tfjs_backend.cc', 'tfjs_binding.cc'].map((name) => join(bindingPackage, 'binding', name));
  const definitions = [`-DNAPI_VERSION=${nodeApiVersion}`, '-DNODE_GYP_MODULE_NAME=tfjs_binding', '-DBUILDING_NODE_EXTENSION'];
  await runCommand(
    findCompiler(env) ?? 'g++',
    ['-std=c++17', '-O2', '-fPIC', '-shared', ...definitions, '-I', join(staging, 'deps', 'include'), '-I', nodeHeaders, ...sources, '-o', output, '-L', join(staging, 'deps', 'lib'), '-ltensorflow', '-ltensorflow_framework', '-Wl,-rpath,$ORIGIN/../../deps/lib'],
    { env, log, progress: 'compiling TensorFlow.js’s binding' },
  );
}

function isLinked(bindingPackage: string, entry: string): boolean {
  try {
    return ['deps', 'lib'].every((name) => readlinkSync(join(bindingPackage, name)) === join(entry, name)) && existsSync(join(bindingPackage, bindingFile));
  } catch {
    return false;
  }
}

async function linkInto(bindingPackage: string, entry: string): Promise<void> {
  for (const name of ['deps', 'lib']) {
    const staged = join(bindingPackage, `.${name}.${process.pid}`);
    await rm(staged, { force: true });
    await symlink(join(entry, name), staged);
    const target = join(bindingPackage, name);
    await rename(staged, target).catch(async () => {
      await rm(target, { recursive: true, force: true }); // A real folder of an earlier hand-made installation.
      await rename(staged, target);
    });
  }
}

/** Loads the binding in a process of its own (a wrong library can crash it) and checks one product. */
async function multiplyInChild(bindingPackage: string, env: Environment): Promise<string> {
  const result = await tryCommand(process.execPath, ['-e', verification, bindingPackage], {
    env: { ...env, TF_CPP_MIN_LOG_LEVEL: '2' },
    timeoutMs: 180_000,
  });
  if (result.exitCode === 0) return result.stdout.trim();
  await rm(join(bindingPackage, 'lib'), { force: true });
  throw new UserError(
    `Native TensorFlow was set up but does not compute here:\n${`${result.stdout}\n${result.stderr}`.trim().split('\n').slice(-8).join('\n')}`,
    'Set SAEFLOW_TF_VARIANT=wasm to run without it, and please report the lines above.',
  );
}

const verification = `
const util = require('util');
util.isNullOrUndefined ??= (value) => value === null || value === undefined;
util.isArray ??= Array.isArray;
const tf = require(process.argv[1]);
const product = tf.matMul(tf.tensor2d([1, 2, 3, 4], [2, 2]), tf.tensor2d([5, 6, 7, 8], [2, 2])).dataSync();
if (tf.getBackend() !== 'tensorflow' || product.join() !== '19,22,43,50') throw new Error('wrong product ' + product);
const { binding, isUsingGpuDevice } = tf.backend();
console.log('TensorFlow ' + binding.TF_Version + ' on ' + (isUsingGpuDevice ? 'GPU' : 'CPU'));
`;
