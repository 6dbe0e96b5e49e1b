// Loads the backend that does the tensors: native TensorFlow where set-up could link it, else WASM, said loudly.
// Never the pure-JavaScript backend, which is some 300 times slower and looks like a hung run.

import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, sep } from 'node:path';
import util from 'node:util';
import * as tf from '@tensorflow/tfjs-core';
import { UserError } from '../schemas/errors.ts';
import { registerNativeSaeKernel } from './saeKernel.ts';

/** The backend in use, as it is recorded in manifests and shown by `saeflow doctor`. */
export interface LoadedBackend {
  name: 'tensorflow' | 'wasm';
  device: 'cpu' | 'gpu';
  /** libtensorflow's version; TensorFlow.js's own where that is all there is. */
  tensorflowVersion: string;
  /** Threads of one operation. */
  threads: number;
  /** What SAEs train on: `kernel` and its instruction set, or `tensorflow`. */
  sae: string;
}

/** How to load it. */
export interface BackendOptions {
  /** Threads of one operation; default TF_NUM_INTRAOP_THREADS, else the number of cores. */
  threads?: number;
  env?: Record<string, string | undefined>;
}

/** Two lines libtensorflow writes to stderr on loading, whatever the log level; who reads a compute process's stderr may drop them. */
export const tensorflowNoise = /^(WARNING: All log messages before absl::InitializeLog|I0000 .* oneDNN custom operations are on)/;

const require = createRequire(import.meta.url);

/**
 * Loads and selects the backend for every later use of `@tensorflow/tfjs-core` in this process (they share one engine).
 * Thread counts are fixed at the first call: TensorFlow reads them once, when its library is loaded.
 *
 * @throws UserError when neither native TensorFlow nor WASM loads.
 * @example
 * const backend = await loadBackend({ threads: 2 }); // { name: 'tensorflow', device: 'cpu', … }
 */
export async function loadBackend(options: BackendOptions = {}): Promise<LoadedBackend> {
  const env = options.env ?? process.env;
  const threads = options.threads ?? (Number(env['TF_NUM_INTRAOP_THREADS']) || availableParallelism());
  const backend = await loadTensors(threads, env);
  // a GPU's tensors are where its data are; the kernel is the CPU's
  return { ...backend, sae: backend.device === 'gpu' ? 'tensorflow' : registerNativeSaeKernel(threads, env) };
}

async function loadTensors(threads: number, env: Record<string, string | undefined>): Promise<Omit<LoadedBackend, 'sae'>> {
  if (env['SAEFLOW_TF_VARIANT'] === 'wasm') return loadWasm('SAEFLOW_TF_VARIANT=wasm');
  try {
    return loadNative(threads);
  } catch (error) {
    const [reason = 'unknown reason'] = (error instanceof Error ? error.message : String(error)).split('\n', 1);
    return loadWasm(reason.trim());
  }
}

function loadNative(threads: number): Omit<LoadedBackend, 'sae'> {
  process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '2';
  process.env['TF_NUM_INTRAOP_THREADS'] = String(threads);
  process.env['TF_NUM_INTEROP_THREADS'] = '1';
  restoreUtilFunctions();
  require('@tensorflow/tfjs-node-gpu');
  if (tf.getBackend() !== 'tensorflow') throw new Error(`tfjs-node loaded, but the backend is "${tf.getBackend()}"`);
  const backend = tf.backend() as unknown as { binding: { TF_Version: string }; isUsingGpuDevice: boolean };
  return {
    name: 'tensorflow',
    device: backend.isUsingGpuDevice ? 'gpu' : 'cpu',
    tensorflowVersion: backend.binding.TF_Version,
    threads,
  };
}

/** tfjs-node 4.22 calls two functions that Node 23 removed from `util`. */
function restoreUtilFunctions(): void {
  const removed: Record<string, (value: unknown) => boolean> = {
    isNullOrUndefined: (value) => value === null || value === undefined,
    isArray: Array.isArray,
  };
  const target = util as unknown as Record<string, unknown>;
  for (const [name, implementation] of Object.entries(removed)) target[name] ??= implementation;
}

/** tfjs-core for Node comes without gradients, and its file of them is no module Node can load; the union package has them. */
function registerGradients(): void {
  createRequire(require.resolve('@tensorflow/tfjs-node-gpu/package.json'))('@tensorflow/tfjs');
}

async function loadWasm(reason: string): Promise<Omit<LoadedBackend, 'sae'>> {
  console.error(`saeflow: native TensorFlow is not in use (${reason}); running on WASM, about 10 times slower. Remedy: npm run setup, then npm run doctor.`);
  try {
    registerGradients();
    const { setWasmPaths } = await import('@tensorflow/tfjs-backend-wasm');
    setWasmPaths(dirname(require.resolve('@tensorflow/tfjs-backend-wasm')) + sep);
    if (!(await tf.setBackend('wasm'))) throw new Error('the WASM backend did not initialise');
  } catch (error) {
    throw new UserError('Neither native TensorFlow nor the WASM backend loads.', 'Run npm run setup, then npm run doctor.', { cause: error });
  }
  return { name: 'wasm', device: 'cpu', tensorflowVersion: tf.version_core, threads: 1 };
}
