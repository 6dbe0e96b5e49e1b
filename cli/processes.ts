// Node processes that a command starts from the TypeScript sources: workers and the dashboard's server. Each leads a
// process group of its own, since Ctrl-C in a terminal reaches a whole group and theirs is to end in order.
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { isAlive } from '../setup/lock.ts';

/** The clone this command runs from. */
export const root = resolve(import.meta.dirname, '..');

const tsxLoader = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;

/** Starts a module of this clone, its output appended to a log file. The process does not keep this one alive. */
export function startModule(module: string, args: readonly string[], { env, logFile }: { env: NodeJS.ProcessEnv; logFile: string }): ChildProcess {
  const log = openSync(logFile, 'a');
  const child = spawn(process.execPath, ['--import', tsxLoader, resolve(root, module), ...args], { env, stdio: ['ignore', log, log], detached: true });
  closeSync(log);
  child.on('error', () => undefined); // One that can't start has no pid.
  child.unref();
  return child;
}

/** Asks a process to end, and makes it after `graceMs`. Returns when it is gone; true when it went by itself. */
export async function endProcess(pid: number, graceMs: number): Promise<boolean> {
  signal(pid, 'SIGTERM');
  const deadline = Date.now() + graceMs;
  let patient = true;
  while (isAlive(pid)) {
    if (patient && Date.now() > deadline) {
      patient = false;
      killGroup(pid);
    }
    await sleep(50);
  }
  return patient;
}

/** Kills a process and those it started, such as a worker with its compute processes. Returns at once. */
export function killGroup(pid: number): void {
  signal(-pid, 'SIGKILL');
  signal(pid, 'SIGKILL');
}

/** The last lines of a log file from byte `start` on, '' when there is none. */
export function logEnd(logFile: string, { lines = 8, start = 0 } = {}): string {
  try {
    return readFileSync(logFile).subarray(start).toString().trim().split('\n').slice(-lines).join('\n');
  } catch {
    return '';
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    return; // Already gone.
  }
}
