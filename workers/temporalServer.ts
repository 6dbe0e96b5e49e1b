// A Temporal server of one's own on this machine: one executable, a SQLite file, the UI. Registered in the state folder,
// so that every later command attaches to it, and a second one never opens the same database.

import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Connection } from '@temporalio/client';
import { UserError } from '../schemas/errors.ts';
import { searchAttributes } from '../schemas/progress.ts';
import { isAlive, withLock } from '../setup/lock.ts';

/** How to run the server. */
export interface TemporalServerOptions {
  /** The `temporal` command line tool. */
  executable: string;
  /** Holds the database, the log and the registration, e.g. `.saeflow`. */
  stateDir: string;
  /** gRPC port; default 7233, or a free one when that is taken. */
  port?: number;
  /** Port of the web UI; default 8233, or a free one when that is taken. */
  uiPort?: number;
  env?: Record<string, string | undefined>;
  /** True: the server outlives this process. False (default): it ends with it. */
  detached?: boolean;
}

/** A server that answers and knows the search attributes. */
export interface TemporalServer {
  /** host:port of the gRPC service. */
  address: string;
  uiUrl: string;
  pid: number;
  /** True when the server was already running. */
  attached: boolean;
  /** Ends the server and returns when its process is gone, so that its database can be opened again. */
  stop(): Promise<void>;
}

interface Registration {
  pid: number;
  address: string;
  uiUrl: string;
  startedAt: string;
}

// Temporal's own Keyword = 2, Int = 3 (temporal.api.enums.v1.IndexedValueType).
const indexedValueType = { Keyword: 2, Int: 3 } as const;

// Measured on 2 cores: a one-activity workflow falls from 150 to 44 ms, and fan-out doubles or trebles. The new matcher
// and single partitions are what server 1.29 wants for task priorities.
const tuning = [
  ...['history.transferProcessorMaxPollRPS=1000', 'history.timerProcessorMaxPollRPS=1000', 'matching.useNewMatcher=true', 'matching.numTaskqueueReadPartitions=1', 'matching.numTaskqueueWritePartitions=1'].flatMap((setting) => ['--dynamic-config-value', setting]),
  ...['journal_mode=wal', 'synchronous=normal'].flatMap((pragma) => ['--sqlite-pragma', pragma]),
];

const host = '127.0.0.1';
const startLimitMs = 60_000;
const terminateLimitMs = 15_000;
const portPatienceMs = 3_000;

/**
 * Starts the server of `stateDir`, or attaches to the one that runs already.
 *
 * @throws UserError when a port given explicitly is taken, or when the server does not come up (with the end of its log).
 * @example
 * const server = await startTemporalServer({ executable: '/usr/local/bin/temporal', stateDir: '.saeflow' });
 * console.log(server.uiUrl); // http://127.0.0.1:8233
 * await server.stop();
 */
export async function startTemporalServer(options: TemporalServerOptions): Promise<TemporalServer> {
  const stateDir = resolve(options.stateDir);
  mkdirSync(join(stateDir, 'logs'), { recursive: true });
  return withLock(join(stateDir, 'server.lock'), () => undefined, async () => {
    const running = await findRunning(stateDir);
    if (running) return serverOf(running, stateDir, true);
    return startNew(options, stateDir);
  });
}

/** The server registered in `stateDir` if it is alive and answers, else undefined; starts nothing. */
export async function attachTemporalServer(stateDir: string): Promise<TemporalServer | undefined> {
  const running = await findRunning(resolve(stateDir));
  return running ? serverOf(running, resolve(stateDir), true) : undefined;
}

async function startNew(options: TemporalServerOptions, stateDir: string): Promise<TemporalServer> {
  // Another program can take a free port between the look and the bind; only ports nobody insisted on are tried again.
  for (let attempt = 1; ; attempt++) {
    const port = await choosePort(options.port, 7233, 'gRPC', attempt);
    const uiPort = await choosePort(options.uiPort, 8233, 'UI', attempt);
    const child = launch(options, stateDir, port, uiPort);
    const registration: Registration = {
      pid: child.pid ?? 0,
      address: `${host}:${port}`,
      uiUrl: `http://${host}:${uiPort}`,
      startedAt: new Date().toISOString(),
    };
    try {
      await writeRegistration(stateDir, registration);
      await untilReady(registration.address, child);
      return serverOf(registration, stateDir, false, options.detached ? undefined : endWithThisProcess(registration.pid));
    } catch (error) {
      await terminate(registration.pid);
      await forget(stateDir, registration.pid);
      const log = readLogEnd(stateDir);
      if (/address already in use/.test(log) && attempt < 3 && !(options.port && options.uiPort)) continue;
      throw new UserError(
        `The Temporal server did not come up: ${error instanceof Error ? error.message : String(error)}. Its log ends:\n${log}`,
        `Read ${logFile(stateDir)}; if the database is damaged, move ${databaseFile(stateDir)} away.`,
      );
    }
  }
}

function launch(options: TemporalServerOptions, stateDir: string, port: number, uiPort: number): ChildProcess {
  const log = openSync(logFile(stateDir), 'a');
  const names = Object.entries(searchAttributes).flatMap(([name, type]) => ['--search-attribute', `${name}=${type}`]);
  const args = ['server', 'start-dev', '--ip', host, '--port', String(port), '--ui-ip', host, '--ui-port', String(uiPort), '--db-filename', databaseFile(stateDir), '--log-level', 'warn', ...names, ...tuning];
  // Its own process group even when owned: Ctrl-C must reach the workers first, which then drain against a live server.
  const child = spawn(options.executable, args, { env: options.env ?? process.env, stdio: ['ignore', log, log], detached: true });
  closeSync(log);
  child.on('error', () => undefined); // An executable that can't start has no pid; untilReady reports it.
  child.unref();
  return child;
}

async function untilReady(address: string, child: ChildProcess): Promise<void> {
  const deadline = Date.now() + startLimitMs;
  while (Date.now() < deadline) {
    if (child.pid === undefined) throw new Error('the executable could not be started');
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`it ended (${child.signalCode ?? `exit code ${child.exitCode}`})`);
    if (await answers(address, hasSearchAttributes)) return;
    await sleep(100);
  }
  throw new Error(`no answer on ${address} within ${startLimitMs / 1000} s`);
}

async function findRunning(stateDir: string): Promise<Registration | undefined> {
  const registration = await readRegistration(stateDir);
  if (!registration || !isAlive(registration.pid) || !isServerOf(registration.pid, stateDir)) return undefined;
  const deadline = Date.now() + startLimitMs;
  while (isAlive(registration.pid)) {
    if (await answers(registration.address, hasSearchAttributes)) return registration;
    if (Date.now() > deadline) {
      throw new UserError(`The Temporal server (pid ${registration.pid}) is alive but does not answer on ${registration.address}.`, `End it with: kill ${registration.pid}`);
    }
    await sleep(250);
  }
  return undefined;
}

/** A pid can be given to another program after a reboot: the command line tells. */
function isServerOf(pid: number, stateDir: string): boolean {
  return commandLine(pid).includes(databaseFile(stateDir));
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    try {
      return execFileSync('ps', ['-ww', '-o', 'command=', '-p', String(pid)], { encoding: 'utf8' });
    } catch {
      return '';
    }
  }
}

/** True when the service reports itself as serving and, if asked, `condition` holds on the same connection. */
async function answers(address: string, condition?: (connection: Connection) => Promise<boolean>): Promise<boolean> {
  const connection = Connection.lazy({ address, connectTimeout: '2s' });
  try {
    return await connection.withDeadline(Date.now() + 3_000, async () => {
      const health = await connection.healthService.check({ service: 'temporal.api.workflowservice.v1.WorkflowService' });
      return health.status === 1 && (condition === undefined || (await condition(connection)));
    });
  } catch {
    return false;
  } finally {
    await connection.close();
  }
}

async function hasSearchAttributes(connection: Connection): Promise<boolean> {
  const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace: 'default' });
  return Object.entries(searchAttributes).every(([name, type]) => customAttributes?.[name] === indexedValueType[type]);
}

function serverOf(registration: Registration, stateDir: string, attached: boolean, release?: () => void): TemporalServer {
  const { address, uiUrl, pid } = registration;
  const stop = async (): Promise<void> => {
    await terminate(pid);
    await forget(stateDir, pid);
    release?.();
  };
  return { address, uiUrl, pid, attached, stop };
}

function endWithThisProcess(pid: number): () => void {
  const end = (): void => signal(pid, 'SIGTERM');
  process.once('exit', end);
  return () => void process.off('exit', end);
}

async function terminate(pid: number): Promise<void> {
  if (pid <= 0) return;
  signal(pid, 'SIGTERM');
  const deadline = Date.now() + terminateLimitMs;
  while (isAlive(pid)) {
    if (Date.now() > deadline) signal(pid, 'SIGKILL');
    await sleep(25);
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    return; // Already gone.
  }
}

async function choosePort(wanted: number | undefined, usual: number, what: string, attempt: number): Promise<number> {
  if (wanted !== undefined) {
    // a server that was just killed holds its port until the last of its threads is gone
    for (const patience = Date.now() + portPatienceMs; ; await sleep(100)) {
      if ((await listenOnce(wanted)) !== undefined) return wanted;
      if (Date.now() > patience) break;
    }
    throw new UserError(`Port ${wanted} for Temporal’s ${what} is in use on ${host}.`, 'Stop the program that uses it, give another port, or give none to have a free one chosen.');
  }
  const usualIsFree = attempt === 1 && (await listenOnce(usual)) !== undefined;
  return usualIsFree ? usual : ((await listenOnce(0)) ?? usual);
}

/** Binds and releases `port` (0: any); the port bound, or undefined when it is taken. */
function listenOnce(port: number): Promise<number | undefined> {
  return new Promise((done) => {
    const server = createServer();
    server.once('error', () => done(undefined));
    server.listen(port, host, () => {
      const bound = server.address();
      server.close(() => done(typeof bound === 'object' && bound ? bound.port : undefined));
    });
  });
}

async function writeRegistration(stateDir: string, registration: Registration): Promise<void> {
  const path = join(stateDir, 'server.json');
  await writeFile(`${path}.tmp`, `${JSON.stringify(registration, null, 2)}\n`);
  await rename(`${path}.tmp`, path);
}

async function readRegistration(stateDir: string): Promise<Registration | undefined> {
  try {
    return JSON.parse(await readFile(join(stateDir, 'server.json'), 'utf8')) as Registration;
  } catch {
    return undefined;
  }
}

/** Removes the registration of that pid, not one that a later start has put in its place. */
async function forget(stateDir: string, pid: number): Promise<void> {
  const registration = await readRegistration(stateDir);
  if (registration?.pid === pid) await rm(join(stateDir, 'server.json'), { force: true });
}

function readLogEnd(stateDir: string): string {
  return readFileSync(logFile(stateDir), 'utf8').trim().split('\n').slice(-6).join('\n');
}

function logFile(stateDir: string): string {
  return join(stateDir, 'logs', 'temporal.log');
}

function databaseFile(stateDir: string): string {
  return join(stateDir, 'temporal.db');
}
