// The native kernel of the SAE step (native/), compiled for this machine: once per instruction set, the best one chosen
// when it runs. Kept in the cache by the hash of its sources, and linked into native/build.

import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, rename, rm, symlink } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { buildOnce, cacheDirectory, type Environment } from './cache.ts';
import { CommandError, runCommand } from './command.ts';
import { findCompiler, findNodeHeaders } from './tensorflow.ts';
import { nodeApiVersion } from './tensorflowPins.ts';

const sources = resolve(import.meta.dirname, '..', 'native');

/**
 * Compilations of step.cc. The flags are the processor's features that `binding.cc` looks for before it chooses one. From
 * few to many: of an inline function that several objects hold (std::vector's, say), the linker keeps the first, and that
 * one must run wherever any of the later ones does.
 */
const instructionSets: Record<string, string[]> =
  process.arch === 'x64'
    ? {
        portable: [],
        avx2: ['-mavx2', '-mfma'],
        avx512: ['-mavx512f', '-mavx512bw', '-mavx512dq', '-mavx512vl', '-mavx2', '-mfma'],
        avx512bf16: ['-mavx512f', '-mavx512bw', '-mavx512dq', '-mavx512vl', '-mavx512bf16', '-mavx2', '-mfma'],
      }
    : { portable: [] };

/** Contraction gives fused multiply-adds; nothing here lets the compiler reorder sums. */
const optimisation = ['-std=c++17', '-O3', '-fPIC', '-ffp-contract=fast', '-fno-math-errno'];

/** Compiled once: their functions choose instructions themselves. */
const conversions = ['half', 'digest'];

/** Where in `folder` (native/build) the kernel that belongs to these sources is, when set-up has built it. */
export function saeKernelPath(folder = join(sources, 'build')): string {
  const hash = createHash('sha256');
  for (const name of readdirSync(sources).filter((file) => /\.(h|cc)$/.test(file)).sort()) hash.update(`${name}\n`).update(readFileSync(join(sources, name)));
  hash.update(JSON.stringify([instructionSets, optimisation, nodeApiVersion, process.platform, process.arch]));
  return join(folder, `sae-kernel-${hash.digest('hex').slice(0, 16)}.node`);
}

/**
 * Compiles the kernel if it is not there (about 10 s) and returns its path; undefined, with the reason and remedy said,
 * where it can't be compiled: SAEs then train on TensorFlow. An instruction set that the compiler is too old for is left
 * out, and said.
 */
export async function setUpSaeKernel(env: Environment = process.env, log: (line: string) => void = console.log, folder?: string): Promise<string | undefined> {
  const path = saeKernelPath(folder);
  if (existsSync(path)) return path;
  const entry = join(cacheDirectory(env), 'sae-kernel', basename(path, '.node'));
  try {
    await buildOnce(entry, (staging) => compile(staging, entry, env, log), log);
  } catch (error) {
    const [reason] = (error instanceof Error ? error.message : String(error)).split('\n', 1);
    if (error instanceof CommandError) log(error.message);
    log(`the SAE kernel could not be compiled (${reason}); SAEs will train on TensorFlow, several times slower. Remedy: a C++17 compiler (apt-get install -y g++), then npm run setup.`);
    return undefined;
  }
  await mkdir(dirname(path), { recursive: true });
  // by way of a name of its own: another set-up may be doing the same
  const staged = `${path}.${process.pid}`;
  await symlink(join(entry, 'sae_kernel.node'), staged);
  await rename(staged, path);
  return path;
}

async function compile(staging: string, entry: string, env: Environment, log: (line: string) => void): Promise<void> {
  log('compiling the SAE kernel');
  const compiler = findCompiler(env);
  if (compiler === undefined) throw new Error('no C++ compiler is on the PATH');
  const run = (args: string[]) => runCommand(compiler, args, { env, cwd: sources, log, progress: 'compiling the SAE kernel' });
  const object = (name: string) => join(staging, `${name}.o`);
  const definitions = [`-DNAPI_VERSION=${nodeApiVersion}`, '-DNODE_GYP_MODULE_NAME=sae_kernel', '-DBUILDING_NODE_EXTENSION', '-I', findNodeHeaders(env)];
  const compileFor = async ([isa, flags]: [string, string[]]): Promise<string[]> => {
    try {
      await run([...optimisation, ...flags, `-DSAE_ISA=${isa}`, '-c', 'step.cc', '-o', object(isa)]);
      return [isa];
    } catch (error) {
      if (!(error instanceof CommandError) || flags.length === 0) throw error;
      log(`${compiler} is too old for the SAE kernel on ${isa}: processors that have it take the next best. Remedy: g++ 10 or clang 9 at least, then delete ${entry} and run npm run setup.`);
      return [];
    }
  };
  const compiled = (await Promise.all(Object.entries(instructionSets).map(compileFor))).flat();
  for (const name of conversions) await run(['-std=c++17', '-O3', '-fPIC', '-c', `${name}.cc`, '-o', object(name)]);
  await run(['-std=c++17', '-O2', '-fPIC', ...definitions, ...compiled.map((isa) => `-DSAE_HAS_${isa}`), '-c', 'binding.cc', '-o', object('binding')]);
  const undefinedSymbols = process.platform === 'darwin' ? ['-undefined', 'dynamic_lookup'] : [];
  await run(['-shared', ...undefinedSymbols, '-o', join(staging, 'sae_kernel.node'), ...['binding', ...conversions, ...compiled].map(object), '-lpthread']);
  await Promise.all(['binding', ...conversions, ...compiled].map((name) => rm(object(name))));
}
