// The worker of a local run: one process that serves all queues, registered in the state folder so that two commands in
// one folder share it, and kept running by whichever command lives.
import type { ChildProcess } from 'node:child_process';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../schemas/errors.ts';
import { isAlive } from '../setup/lock.ts';
import { endProcess, killGroup, logEnd, startModule } from './processes.ts';
import { isSaeflow, makeStateFolder, register, registered, stateFolder, unregister } from './state.ts';
import { supervise } from './supervisor.ts';

export interface LocalWorkerOptions {
  storeUri: string;
  /** Temporal's address and credentials, as its standard environment variables. */
  temporalEnv: NodeJS.ProcessEnv;
  say(line: string): void;
  /** Told when the worker can't be kept running. */
  onGiveUp(error: Error): void;
}

/** Time a worker has to save checkpoints. */
const drainMs = 40_000;
const mostRefusals = 2;
const moduleName = 'workers/main.ts';
const logName = 'worker.log';

/**
 * Starts the worker of this folder, or shares the one another command runs, or takes over the one that a killed command
 * left. Keeps it running until `stop`.
 */
export class LocalWorker {
  private child: ChildProcess | undefined;
  private pid = 0;
  /** True when ending the worker falls to this command. */
  private mine = false;
  private refusals = 0;
  /** Where in the log the present worker begins. */
  private logStart = 0;
  private endSupervision: () => Promise<void> = async () => undefined;

  constructor(private readonly options: LocalWorkerOptions) {}

  /** Throws UserError when a worker runs here for another store. */
  start(): void {
    this.startOrShare();
    const { say, onGiveUp } = this.options;
    this.endSupervision = supervise({ name: 'the worker', alive: () => isAlive(this.pid), start: async () => this.restart(), onGiveUp }, say);
  }

  /** Lets the worker save checkpoints and ends it, unless that falls to another command. */
  async stop(): Promise<void> {
    await this.endSupervision();
    if (!this.mine) return;
    const drained = await endProcess(this.pid, drainMs);
    unregister('worker', this.pid);
    if (!drained) this.options.say(`the worker did not end within ${drainMs / 1_000} s and was killed; work goes on from the last checkpoints`);
  }

  /** Ends the worker at once. */
  kill(): void {
    if (this.mine) killGroup(this.pid);
  }

  private startOrShare(): void {
    const { storeUri } = this.options;
    const other = registered('worker');
    if (other !== undefined) {
      if (other.storeUri !== storeUri) throw new UserError(`a worker of this folder (pid ${other.pid}) works on the store ${other.storeUri}, not on ${storeUri}`, 'Wait for it, end it with saeflow stop, or use another SAEFLOW_STATE_DIR.');
      this.pid = other.pid;
      this.mine = other.owner !== undefined && !isSaeflow(other.owner);
      return;
    }
    const env = { ...process.env, ...this.options.temporalEnv, SAEFLOW_STORE: storeUri, SAEFLOW_QUEUES: 'workflows,cpu,gpu' };
    const logFile = join(makeStateFolder(), 'logs', logName);
    this.logStart = statSync(logFile, { throwIfNoEntry: false })?.size ?? 0;
    this.child = startModule(moduleName, [], { env, logFile });
    this.pid = this.child.pid ?? 0;
    this.mine = true;
    register('worker', { pid: this.pid, commandLine: moduleName, storeUri, owner: process.pid });
  }

  /** One that was killed is replaced; one that ends by itself twice in a row has said why, and would only say it again. */
  private restart(): void {
    const exitCode = this.child?.exitCode ?? null;
    this.refusals = exitCode === null || exitCode === 0 ? 0 : this.refusals + 1;
    if (this.refusals >= mostRefusals) {
      const log = join(stateFolder(), 'logs', logName);
      throw new UserError(`the worker can't work:\n${logEnd(log, { start: this.logStart })}`, `Mend this and run the same command again. The whole log is ${log}.`);
    }
    this.child = undefined;
    this.startOrShare();
  }
}
