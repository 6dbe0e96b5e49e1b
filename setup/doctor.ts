// `saeflow doctor`: what this machine has of what a run needs, each line with what was found and what to do about it.
// It looks and measures, and installs nothing.

import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism, cpus, freemem, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { Connection, type ConnectionOptions } from '@temporalio/client';
import { UserError } from '../schemas/errors.ts';
import { findBrowser } from './browser.ts';
import { cacheDirectory, formatBytes, freeBytes, type Environment } from './cache.ts';
import { findOnPath, tryCommand } from './command.ts';
import { findCompiler, hasNvidiaDriver } from './tensorflow.ts';
import { findTemporal } from './temporal.ts';

/** One thing looked at. `fail` = a run can't work; `warn` = it works, but slower or without something. */
export interface Finding {
  name: string;
  status: 'ok' | 'warn' | 'fail';
  found: string;
  remedy?: string;
}

const root = resolve(import.meta.dirname, '..');
const lowDiskBytes = 5e9;
const lowMemoryBytes = 4e9;

/**
 * Examines this machine. Never throws: what can't be examined is a finding of its own.
 *
 * @example
 * const findings = await diagnose();
 * if (findings.some((finding) => finding.status === 'fail')) process.exitCode = 1;
 */
export async function diagnose(env: Environment = process.env): Promise<Finding[]> {
  const examinations: ((env: Environment) => Finding | Promise<Finding>)[] = [
    node, packages, tensorflow, temporal, gpu, compiler, python, pip, maven, go, browser, cacheDisk, workDisk, processor, memory,
  ];
  return Promise.all(
    examinations.map(async (examine) => {
      try {
        return await examine(env);
      } catch (error) {
        const remedy = error instanceof UserError ? error.remedy : 'Please report this.';
        return { name: examine.name, status: 'fail' as const, found: error instanceof Error ? error.message : String(error), remedy };
      }
    }),
  );
}

/** Writes the findings as a table, each remedy under its line. */
export function printFindings(findings: Finding[], write: (line: string) => void = console.log): void {
  const width = Math.max(...findings.map((finding) => finding.name.length));
  const mark = { ok: 'ok  ', warn: 'warn', fail: 'FAIL' };
  for (const { name, status, found, remedy } of findings) {
    write(`${mark[status]}  ${name.padEnd(width)}  ${found}`);
    if (remedy && status !== 'ok') write(`${' '.repeat(width + 8)}→ ${remedy}`);
  }
}

function node(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const enough = major > 20 || (major === 20 && minor >= 3);
  return { name: 'node', status: enough ? 'ok' : 'fail', found: `${process.version} (${process.execPath})`, remedy: 'Install Node 20.3 or newer.' };
}

function packages(): Finding {
  const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { dependencies: Record<string, string> };
  const wrong = Object.entries(dependencies).filter(([name, version]) => installedVersion(name) !== version).map(([name]) => name);
  const found = wrong.length === 0 ? `${Object.keys(dependencies).length} packages at their pinned versions` : `missing or of another version: ${wrong.join(', ')}`;
  return { name: 'packages', status: wrong.length === 0 ? 'ok' : 'fail', found, remedy: 'Run npm run setup.' };
}

function installedVersion(name: string): string | undefined {
  const file = join(root, 'node_modules', name, 'package.json');
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version : undefined;
}

/** In a process of its own: a library that does not fit this machine can crash the process that loads it. */
async function tensorflow(env: Environment): Promise<Finding> {
  const program = `
    const { loadBackend } = await import(${JSON.stringify(join(root, 'workers', 'tensorflow.ts'))});
    console.log('backend ' + JSON.stringify(await loadBackend()));`;
  const tsx = join(root, 'node_modules', 'tsx', 'dist', 'esm', 'index.mjs');
  const result = await tryCommand(process.execPath, ['--import', tsx, '--input-type=module', '-e', program], { env, cwd: root, timeoutMs: 60_000 });
  const line = /^backend (.+)$/m.exec(result.stdout)?.[1];
  if (result.exitCode !== 0 || !line) {
    return { name: 'tensorflow', status: 'fail', found: `no backend loads: ${result.stderr.trim().split('\n').at(-1) ?? ''}`, remedy: 'Run npm run setup.' };
  }
  const backend = JSON.parse(line) as { name: string; device: string; tensorflowVersion: string; threads: number; sae: string };
  if (backend.name === 'tensorflow' && backend.device === 'cpu' && hasNvidiaDriver() && !env['SAEFLOW_TF_VARIANT']) {
    return { name: 'tensorflow', status: 'warn', found: `native ${backend.tensorflowVersion} on CPU, though there is an NVIDIA driver`, remedy: 'Run npm run setup, which then fetches the CUDA build.' };
  }
  if (backend.name === 'tensorflow') {
    const slow = backend.device === 'cpu' && backend.sae === 'tensorflow';
    const found = `native ${backend.tensorflowVersion} on ${backend.device.toUpperCase()}, ${backend.threads} threads; SAEs train on ${backend.sae}${slow ? ', several times slower than on the kernel' : ''}`;
    return { name: 'tensorflow', status: slow ? 'warn' : 'ok', found, remedy: 'Run npm run setup, which compiles the SAE kernel.' };
  }
  const reason = /not in use \((.*)\); running/.exec(result.stderr)?.[1] ?? 'unknown reason';
  return { name: 'tensorflow', status: 'warn', found: `WASM, about 10 times slower (${reason})`, remedy: 'Run npm run setup.' };
}

async function temporal(env: Environment): Promise<Finding> {
  const found = await findTemporal(env);
  if (!found) return { name: 'temporal', status: 'fail', found: 'no server named and no temporal executable', remedy: 'Run npm run setup.' };
  if (found.kind === 'executable') return { name: 'temporal', status: 'ok', found: `${found.version}, ${found.path} (${found.origin})` };
  const server = `server ${found.address}, namespace ${found.namespace} (from the environment or a profile)`;
  try {
    const connection = await Connection.connect({ ...found.connectionOptions, connectTimeout: '3s' } as ConnectionOptions);
    await connection.close();
    return { name: 'temporal', status: 'ok', found: server };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { name: 'temporal', status: 'fail', found: `${server} does not answer: ${reason}`, remedy: 'Start it, correct the TEMPORAL_* variables or temporal.toml, or unset them to use a server of your own.' };
  }
}

async function gpu(env: Environment): Promise<Finding> {
  const tool = findOnPath('nvidia-smi', env);
  if (!tool) return { name: 'gpu', status: 'ok', found: hasNvidiaDriver() ? 'NVIDIA driver, without nvidia-smi' : 'none; runs on the processor' };
  const { stdout, stderr, exitCode } = await tryCommand(tool, ['--query-gpu=name,memory.total,driver_version', '--format=csv,noheader'], { env, timeoutMs: 20_000 });
  if (exitCode === 0) return { name: 'gpu', status: 'ok', found: stdout.trim().replaceAll('\n', '; ') };
  return { name: 'gpu', status: 'warn', found: `nvidia-smi fails: ${`${stdout}${stderr}`.trim().split('\n')[0]}`, remedy: 'Repair the NVIDIA driver, or set SAEFLOW_TF_VARIANT=cpu.' };
}

function compiler(env: Environment): Promise<Finding> {
  return tool('compiler', findCompiler(env), '--version', env, 'Needed when TensorFlow.js’s binding is built: apt-get install -y g++.');
}

function python(env: Environment): Promise<Finding> {
  return tool('python', findOnPath('python3', env), '--version', env, 'Needed (or Maven) when libtensorflow is fetched: apt-get install -y python3 python3-pip.');
}

async function pip(env: Environment): Promise<Finding> {
  const interpreter = findOnPath('python3', env);
  const { stdout, exitCode } = interpreter ? await tryCommand(interpreter, ['-m', 'pip', '--version'], { env, timeoutMs: 20_000 }) : { stdout: '', exitCode: 1 };
  if (exitCode === 0) return { name: 'pip', status: 'ok', found: stdout.trim().split(' from ')[0] ?? '' };
  return { name: 'pip', status: 'warn', found: 'none', remedy: 'Needed (or Maven) when libtensorflow is fetched: apt-get install -y python3-pip.' };
}

function maven(env: Environment): Promise<Finding> {
  return tool('maven', findOnPath('mvn', env), '--version', env);
}

function go(env: Environment): Promise<Finding> {
  return tool('go', findOnPath('go', env), 'version', env);
}

/** A program set-up may use. With a remedy its absence is a warning; without, another way exists and all is well. */
async function tool(name: string, path: string | undefined, versionFlag: string, env: Environment, remedy?: string): Promise<Finding> {
  if (!path) return remedy ? { name, status: 'warn', found: 'none', remedy } : { name, status: 'ok', found: 'none; not needed when set-up has run' };
  const { stdout } = await tryCommand(path, [versionFlag], { env, timeoutMs: 20_000 });
  // Maven colours its first line.
  // eslint-disable-next-line no-control-regex
  const version = (stdout.trim().split('\n')[0] ?? '').replace(/\u001b\[\d*m/g, '');
  return { name, status: 'ok', found: `${version} (${path})` };
}

function browser(env: Environment): Finding {
  const found = findBrowser(env);
  if (found) return { name: 'browser', status: 'ok', found };
  return { name: 'browser', status: 'warn', found: 'none', remedy: 'Only the tests need one: apt-get install -y chromium, or set CHROME_PATH.' };
}

async function cacheDisk(env: Environment): Promise<Finding> {
  return disk('cache disk', cacheDirectory(env), 'Free some space, or set SAEFLOW_CACHE_DIR to a folder on a larger disk.');
}

async function workDisk(): Promise<Finding> {
  return disk('work disk', process.cwd(), 'Free some space; a run says how much it needs before it starts.');
}

async function disk(name: string, path: string, remedy: string): Promise<Finding> {
  const free = await freeBytes(path);
  return { name, status: free < lowDiskBytes ? 'warn' : 'ok', found: `${formatBytes(free)} free in ${path}`, remedy };
}

function processor(): Finding {
  const model = cpus()[0]?.model.trim() ?? process.arch;
  const flags = vectorFlags();
  const found = `${availableParallelism()} cores, ${model}${flags ? `, ${flags.join(' ')}` : ''}`;
  if (flags?.includes('avx2') === false && process.arch === 'x64') {
    return { name: 'processor', status: 'warn', found: `${found}, no AVX2`, remedy: 'Training will be several times slower; use a processor with AVX2.' };
  }
  return { name: 'processor', status: 'ok', found };
}

/** The vector instruction sets that matter here; undefined where the system does not list them. */
function vectorFlags(): string[] | undefined {
  if (!existsSync('/proc/cpuinfo')) return undefined;
  const listed = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1]?.split(' ');
  return listed?.filter((flag) => ['avx', 'avx2', 'fma', 'avx512f', 'avx512_bf16', 'amx_bf16', 'asimd', 'sve'].includes(flag));
}

function memory(): Finding {
  const total = totalmem();
  const found = `${formatBytes(total)}, ${formatBytes(freemem())} unused`;
  return { name: 'memory', status: total < lowMemoryBytes ? 'warn' : 'ok', found, remedy: 'Use smaller batches, or a machine with at least 4 GB.' };
}
