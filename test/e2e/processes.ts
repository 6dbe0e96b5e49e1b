// A whole saeflow on this machine as separate real processes that a test can kill: Temporal server, worker, and the
// compute processes the worker owns. What dies is started again, as the CLI's supervisor or a container runtime would.
import { fork, type ChildProcess } from 'node:child_process';
import { openSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { childrenOf, killHard, quietPort } from '../../chaos/processes.ts';
import { resolveTemporal } from '../../setup/temporal.ts';
import { startTemporalServer, type TemporalServer } from '../../workers/temporalServer.ts';

const workerModule = fileURLToPath(new URL('../../workers/main.ts', import.meta.url));
const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;

export type Victim = 'compute' | 'worker' | 'server';

/** Server and worker on free ports, all data in `folder`. */
export class Processes {
  readonly storeDir: string;
  private readonly folder: string;
  private readonly executable: string;
  private server: TemporalServer | undefined;
  private worker: ChildProcess | undefined;
  private ports: { port: number; uiPort: number } | undefined;

  private constructor(folder: string, executable: string) {
    this.folder = folder;
    this.executable = executable;
    this.storeDir = join(folder, 'store');
  }

  static async start(folder: string): Promise<Processes> {
    const temporal = await resolveTemporal({ ...process.env, TEMPORAL_ADDRESS: undefined, TEMPORAL_PROFILE: undefined });
    if (temporal.kind !== 'executable') throw new Error('this test needs a Temporal server of its own, which it can kill');
    const processes = new Processes(folder, temporal.path);
    await processes.startServer();
    await processes.startWorker();
    return processes;
  }

  /** Of the server's gRPC, as in TEMPORAL_ADDRESS. */
  get address(): string {
    return this.server!.address;
  }

  get uiUrl(): string {
    return this.server!.uiUrl;
  }

  /** A client of the server; connect anew after the server was killed. */
  async client(): Promise<Client> {
    return new Client({ connection: await Connection.connect({ address: this.server!.address }) });
  }

  /** kill -9, then what a supervisor does: server and worker are started again, a compute process is its worker's to replace. */
  async kill(victim: Victim): Promise<number> {
    const pid = this.pidOf(victim);
    if (pid === undefined) throw new Error(`no ${victim} is running`);
    await killHard(pid);
    if (victim === 'server') await this.startServer();
    if (victim === 'worker') await this.startWorker();
    return pid;
  }

  /** The process of that kind, if one runs. The compute process is the one that has been given tensors to work on. */
  pidOf(victim: Victim): number | undefined {
    if (victim === 'server') return this.server?.pid;
    if (victim === 'worker') return this.worker?.pid;
    return childrenOf(this.worker!.pid!, 'workers/compute.ts').at(-1);
  }

  async stop(): Promise<void> {
    if (this.worker?.exitCode === null) await killHard(this.worker.pid!);
    await this.server?.stop();
  }

  private async startServer(): Promise<void> {
    this.ports ??= { port: await quietPort(), uiPort: await quietPort() };
    this.server = await startTemporalServer({ executable: this.executable, stateDir: this.folder, ...this.ports });
  }

  private async startWorker(): Promise<void> {
    const log = openSync(join(this.folder, 'worker.log'), 'a');
    const env = { ...process.env, TEMPORAL_ADDRESS: this.server!.address, SAEFLOW_STORE: this.storeDir };
    this.worker = fork(workerModule, { cwd: this.folder, execArgv: ['--import', tsx], env, stdio: ['ignore', log, log, 'ipc'] });
    await sleep(0);
  }
}
