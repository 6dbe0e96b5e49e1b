// All that a run needs on one machine, brought up in order and taken down in reverse: the Temporal server (unless one is
// named), then the worker. Both are started again when they die.
import type { ConnectionOptions } from '@temporalio/client';
import { resolveTemporal } from '../setup/temporal.ts';
import { isAlive } from '../setup/lock.ts';
import { startTemporalServer, type TemporalServer } from '../workers/temporalServer.ts';
import { connect, type Temporal } from './connection.ts';
import { LocalWorker } from './localWorker.ts';
import { killGroup } from './processes.ts';
import { makeStateFolder } from './state.ts';
import { supervise } from './supervisor.ts';

export interface StackOptions {
  /** Of a server of our own; default: Temporal's usual ones, or free ones. */
  port?: number;
  uiPort?: number;
  storeUri: string;
  /** False: only the server; workers run elsewhere. */
  worker: boolean;
  say(line: string): void;
  /** Told when a part can't be kept running. */
  onGiveUp(error: Error): void;
}

/** What was brought up. */
export interface LocalStack {
  temporal: Temporal;
  /** Ends what this command started: worker first, so that it can save checkpoints, then the server unless it is to stay. */
  stop(options: { keepServer: boolean }): Promise<void>;
  /** For the impatient: ends at once what this command started; checkpoints that were saved stay. */
  kill(): void;
}

/**
 * Finds or starts Temporal, and a worker.
 *
 * @throws UserError when a port is taken, Temporal can't be had, or a worker of this folder works on another store.
 */
export async function bringUp(options: StackOptions): Promise<LocalStack> {
  makeStateFolder();
  const found = await resolveTemporal(process.env, options.say);
  if (found.kind === 'address') {
    const temporal = await connect({ ...found.connectionOptions, address: found.address } as ConnectionOptions, found.namespace, process.env['SAEFLOW_TEMPORAL_UI_URL']);
    return withWorker(temporal, options, {}, undefined);
  }
  const server = new LocalServer(found.path, options);
  const { address, uiUrl } = await server.start();
  try {
    const temporal = await connect({ address }, 'default', uiUrl);
    return withWorker(temporal, options, { TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: 'default', TEMPORAL_API_KEY: '', TEMPORAL_TLS: 'false' }, server);
  } catch (error) {
    await server.stop(false);
    throw error;
  }
}

async function withWorker(temporal: Temporal, options: StackOptions, temporalEnv: NodeJS.ProcessEnv, server: LocalServer | undefined): Promise<LocalStack> {
  const worker = new LocalWorker({ ...options, temporalEnv });
  try {
    if (options.worker) worker.start();
  } catch (error) {
    await temporal.close();
    throw error;
  }
  return {
    temporal,
    kill() {
      worker.kill();
      server?.kill();
    },
    async stop({ keepServer }) {
      await worker.stop();
      await temporal.close();
      await server?.stop(keepServer);
    },
  };
}

/** The server of the state folder, started here or attached to, kept running on the same ports and database. */
class LocalServer {
  private server: TemporalServer | undefined;
  private endSupervision: () => Promise<void> = async () => undefined;
  private startedHere = false;

  constructor(
    private readonly executable: string,
    private readonly options: StackOptions,
  ) {}

  async start(): Promise<TemporalServer> {
    const { port, uiPort, say, onGiveUp } = this.options;
    const server = await this.launch(port, uiPort);
    this.startedHere = !server.attached;
    const ports = [server.address, server.uiUrl].map((url) => Number(/:(\d+)$/.exec(url)?.[1]));
    if (server.attached && ((port !== undefined && port !== ports[0]) || (uiPort !== undefined && uiPort !== ports[1]))) say(`using the Temporal server that runs already: ${server.address}, UI ${server.uiUrl}`);
    this.endSupervision = supervise(
      {
        name: 'the Temporal server',
        alive: () => this.server !== undefined && isAlive(this.server.pid),
        start: async () => void (await this.launch(ports[0], ports[1])),
        onGiveUp,
      },
      say,
    );
    return server;
  }

  async stop(keep: boolean): Promise<void> {
    await this.endSupervision();
    if (this.startedHere && !keep) await this.server?.stop();
  }

  kill(): void {
    // Its database is a write-ahead log: a kill loses nothing.
    if (this.startedHere && this.server !== undefined) killGroup(this.server.pid);
  }

  private async launch(port: number | undefined, uiPort: number | undefined): Promise<TemporalServer> {
    // Detached: whether it ends with this command is decided at the end, by how the command ends.
    this.server = await startTemporalServer({ executable: this.executable, stateDir: makeStateFolder(), detached: true, ...(port === undefined ? {} : { port }), ...(uiPort === undefined ? {} : { uiPort }) });
    return this.server;
  }
}
