// The machine and code a bench ran on, as RESULTS.md names them: what decides its figures, and nothing that names a
// person or host.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { arch, cpus, platform, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const instructionSets = ['avx2', 'avx512f', 'avx512_bf16', 'amx_bf16'];

/** `linux x64, 2 × AMD EPYC, 25 GB, avx2 avx512f avx512_bf16`. */
export function describeBenchMachine(): string {
  const processors = cpus();
  const flags = processorFlags();
  const found = instructionSets.filter((name) => flags.has(name));
  return [`${platform()} ${arch()}`, `${processors.length} × ${processors[0]?.model.trim() ?? 'unknown processor'}`, `${Math.round(totalmem() / 1e9)} GB`, found.join(' ')].filter((part) => part !== '').join(', ');
}

/** `saeflow 0.1.0 (c334c0f1c0de)`; `, changed` where the code is not that commit's. What benches record does not count. */
export function codeVersion(): string {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };
  try {
    const git = (...args: string[]) => execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
    const changed = git('status', '--porcelain', '--untracked-files=no', '--', '.', ':!bench/results', ':!bench/RESULTS.md');
    return `saeflow ${version} (${git('rev-parse', '--short=12', 'HEAD')}${changed === '' ? '' : ', changed'})`;
  } catch {
    return `saeflow ${version}`;
  }
}

/** Instruction sets of the first processor, as /proc/cpuinfo names them; empty where there is no such file. */
export function processorFlags(): Set<string> {
  try {
    return new Set(/^flags\s*:\s*(.+)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1]?.split(' '));
  } catch {
    return new Set();
  }
}

/** Largest and present resident memory of a process, in bytes, as /proc has them. */
export function residentBytes(pid: number | 'self' = 'self'): { peakRssBytes: number; rssBytes: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const bytes = (field: string) => Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)![1]) * 1024;
  return { peakRssBytes: bytes('VmHWM'), rssBytes: bytes('VmRSS') };
}
