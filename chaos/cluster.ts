// A whole saeflow on this machine as separate real processes: Temporal server, S3 server, a worker for workflows and
// corpus, a worker for tensors, and the compute processes that workers own. Each can be killed at any moment and is then
// started again at once, as a supervisor or a container runtime would.
import { fork, type ChildProcess } from 'node:child_process';
import { closeSync, mkdirSync, openSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import { openStore, type ArtifactStore } from '../data/artifactStore.ts';
import type { StageName } from '../schemas/stages.ts';
import { ensureS3Server, startS3Process, type RunningS3Server } from '../setup/s3Server.ts';
import { resolveTemporal } from '../setup/temporal.ts';
import { startTemporalServer, type TemporalServer } from '../workers/temporalServer.ts';
import { journalVariable } from './journal.ts';
import type { StoreKind, Victim } from './plan.ts';
import { childrenOf, killHard, quietPort } from './processes.ts';
import { SmallDisk } from './smallDisk.ts';

const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
const workerModule = fileURLToPath(new URL('./worker.ts', import.meta.url));
const bucket = 'chaos';
/** Holds the artifacts of a chaos run many times over. */
const diskBytes = 256 * 2 ** 20;
const queuesOf = { cpuWorker: 'workflows,cpu', gpuWorker: 'gpu' } as const;
type WorkerName = keyof typeof queuesOf;

interface Parts {
  folder: string;
  storeUri: string;
  temporalPath: string;
  ports: { port: number; uiPort: number };
  s3: RunningS3Server | undefined;
  disk: SmallDisk | undefined;
}

export class Cluster {
  readonly folder: string;
  readonly storeUri: string;
  readonly store: ArtifactStore;
  readonly journalFile: string;
  readonly disk: SmallDisk | undefined;
  private readonly parts: Parts;
  private temporal: TemporalServer | undefined;
  private s3: RunningS3Server | undefined;
  private readonly workers = new Map<WorkerName, ChildProcess>();
  private connected: Client | undefined;

  private constructor(parts: Parts) {
    this.parts = parts;
    this.folder = parts.folder;
    this.storeUri = parts.storeUri;
    this.store = openStore(parts.storeUri);
    this.journalFile = join(parts.folder, 'journal.jsonl');
    this.disk = parts.disk;
    this.s3 = parts.s3;
  }

  /** Brings everything up, all data in `folder`. `say` hears why the store's disk can't be one that fills. */
  static async start(folder: string, kind: StoreKind, { fillable, say }: { fillable: boolean; say(line: string): void }): Promise<Cluster> {
    mkdirSync(folder, { recursive: true });
    const temporal = await resolveTemporal({ ...process.env, TEMPORAL_ADDRESS: undefined, TEMPORAL_PROFILE: undefined });
    if (temporal.kind !== 'executable') throw new Error('chaos needs a Temporal server of its own, which it can kill');
    const ports = { port: await quietPort(), uiPort: await quietPort() };
    const common = { folder, temporalPath: temporal.path, ports, s3: undefined, disk: undefined };
    const cluster = new Cluster(kind === 's3' ? { ...common, ...(await s3Store(folder)) } : { ...common, ...(await folderStore(folder, fillable, say)) });
    writeFileSync(cluster.journalFile, '');
    try {
      await cluster.startTemporal();
      for (const name of Object.keys(queuesOf) as WorkerName[]) cluster.startWorker(name);
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  get address(): string {
    return this.temporal!.address;
  }

  /** A client of the server; a new one after the server was killed. */
  async client(): Promise<Client> {
    this.connected ??= new Client({ connection: await Connection.connect({ address: this.address }) });
    return this.connected;
  }

  /** kill -9 and what a supervisor does then; a compute process is its worker's to replace. False when none ran. */
  async kill(victim: Exclude<Victim, 'disk'>, stage: StageName): Promise<boolean> {
    switch (victim) {
      case 'compute': {
        const pid = this.computePid(stage);
        if (pid !== undefined) await killHard(pid);
        return pid !== undefined;
      }
      case 'cpuWorker':
      case 'gpuWorker':
        await killHard(this.workers.get(victim)!.pid!);
        this.startWorker(victim);
        return true;
      case 'temporal':
        await killHard(this.temporal!.pid);
        await this.disconnect();
        await this.startTemporal();
        return true;
      case 's3': {
        if (this.s3 === undefined) return false;
        await killHard(this.s3.pid);
        this.s3 = await startS3Process(await ensureS3Server(), { folder: this.folder, bucket, port: Number(new URL(this.s3.endpoint).port) });
        return true;
      }
    }
  }

  /** The process that works on a stage: the one with tensors, or the tokenizing one. */
  computePid(stage: StageName): number | undefined {
    const worker = this.workers.get(stage === 'tokenize' ? 'cpuWorker' : 'gpuWorker');
    return worker?.pid === undefined ? undefined : childrenOf(worker.pid, 'chaos/compute.ts').at(-1);
  }

  /** Ends every process and gives the disk back; the folder stays. */
  async stop(): Promise<void> {
    for (const worker of this.workers.values()) if (worker.pid !== undefined) await killHard(worker.pid);
    await this.disconnect();
    await this.temporal?.stop();
    await this.s3?.stop();
    await this.disk?.unmount();
  }

  private async disconnect(): Promise<void> {
    await this.connected?.connection.close();
    this.connected = undefined;
  }

  private async startTemporal(): Promise<void> {
    const { folder, temporalPath: executable, ports } = this.parts;
    this.temporal = await startTemporalServer({ executable, stateDir: folder, ...ports });
  }

  private startWorker(name: WorkerName): void {
    const log = openSync(join(this.folder, `${name}.log`), 'a');
    const env = { ...process.env, ...this.s3?.env, TEMPORAL_ADDRESS: this.address, TEMPORAL_NAMESPACE: 'default', SAEFLOW_STORE: this.storeUri, SAEFLOW_QUEUES: queuesOf[name], SAEFLOW_BUILD_ID: '', [journalVariable]: this.journalFile };
    this.workers.set(name, fork(workerModule, { cwd: this.folder, execArgv: ['--import', tsx], env, stdio: ['ignore', log, log, 'ipc'] }));
    closeSync(log);
  }
}

/** Its credentials go into this process' environment too: it looks into the store. */
async function s3Store(folder: string): Promise<Pick<Parts, 'storeUri' | 's3'>> {
  const s3 = await startS3Process(await ensureS3Server(), { folder, bucket, port: await quietPort() });
  Object.assign(process.env, s3.env);
  return { storeUri: `s3://${bucket}/store`, s3 };
}

async function folderStore(folder: string, fillable: boolean, say: (line: string) => void): Promise<Pick<Parts, 'storeUri' | 'disk'>> {
  if (!fillable) return { storeUri: join(folder, 'store'), disk: undefined };
  const disk = await SmallDisk.mount(join(folder, 'disk'), diskBytes);
  if (disk instanceof SmallDisk) return { storeUri: join(disk.folder, 'store'), disk };
  say(`the disk is not filled: mounting one that could be is refused here (${disk.refused})`);
  return { storeUri: join(folder, 'store'), disk: undefined };
}
