// Where a command keeps things and finds them again: the state folder (server, logs, registrations) and the store. Both
// are of the current folder unless the environment or an option says otherwise.
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { execFileSync } from 'node:child_process';
import { storeUriOf } from '../data/storeUri.ts';
import { UserError } from '../schemas/errors.ts';
import { isAlive } from '../setup/lock.ts';

/** A process that a command left or keeps running, as `<state>/<name>.json` says. */
export interface Registration {
  pid: number;
  /** A part of its command line: a pid can be given to another program after a reboot. */
  commandLine: string;
  url?: string;
  storeUri?: string;
  folder?: string;
  /** The command that ends it: once that is gone, the next one takes it over. */
  owner?: number;
}

/** The state folder: SAEFLOW_STATE_DIR, else `.saeflow` in the current folder. */
export function stateFolder(env: NodeJS.ProcessEnv = process.env): string {
  return resolve(env['SAEFLOW_STATE_DIR'] || '.saeflow');
}

/** The state folder with its logs folder, made if need be. Throws UserError where a file is in the way. */
export function makeStateFolder(): string {
  const folder = stateFolder();
  try {
    mkdirSync(join(folder, 'logs'), { recursive: true });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EEXIST' && code !== 'ENOTDIR') throw error;
    throw new UserError(`${folder} is a file: saeflow keeps its state in a folder of that name`, 'Move the file, or name another folder in SAEFLOW_STATE_DIR.', { cause: error });
  }
  return folder;
}

/** The store's URI: --store, else SAEFLOW_STORE, else `.saeflow/store`. */
export function storeUri(option?: string): string {
  return storeUriOf({ ...process.env, ...(option === undefined ? {} : { SAEFLOW_STORE: option }) });
}

/** Writes `<state>/<name>.json`. */
export function register(name: string, registration: Registration): void {
  const path = join(makeStateFolder(), `${name}.json`);
  writeFileSync(`${path}.${process.pid}.tmp`, `${JSON.stringify(registration, null, 2)}\n`);
  renameSync(`${path}.${process.pid}.tmp`, path);
}

/** The registered process, if it is alive and still the one that was registered. */
export function registered(name: string): Registration | undefined {
  const path = join(stateFolder(), `${name}.json`);
  if (!existsSync(path)) return undefined;
  try {
    const registration = JSON.parse(readFileSync(path, 'utf8')) as Registration;
    return isAlive(registration.pid) && commandLineOf(registration.pid).includes(registration.commandLine) ? registration : undefined;
  } catch {
    return undefined;
  }
}

/** Removes the registration of that pid, not one that a later command has put in its place. */
export function unregister(name: string, pid: number): void {
  const path = join(stateFolder(), `${name}.json`);
  try {
    if ((JSON.parse(readFileSync(path, 'utf8')) as Registration).pid === pid) rmSync(path, { force: true });
  } catch {
    return; // There is none.
  }
}

/** True while a process of that id runs and is a saeflow command. */
export function isSaeflow(pid: number): boolean {
  return isAlive(pid) && commandLineOf(pid).includes('saeflow');
}

function commandLineOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    try {
      return execFileSync('ps', ['-ww', '-o', 'command=', '-p', String(pid)], { encoding: 'utf8' });
    } catch {
      return '';
    }
  }
}
