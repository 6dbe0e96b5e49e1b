// Keeps one process running: looks every second whether it is alive, starts it again when it is not, more patiently each
// time, and gives up when it never gets going. Used for the worker and for the Temporal server.
import { setTimeout as sleep } from 'node:timers/promises';
import { UserError } from '../schemas/errors.ts';

/** What is kept running. */
export interface Supervised {
  /** For messages: "the worker". */
  name: string;
  alive(): boolean;
  /** A UserError says that there is no use in trying again. */
  start(): Promise<void>;
  /** Told once when it can't be kept running; supervision has then ended. */
  onGiveUp(error: Error): void;
}

const lookMs = 1_000;
/** A process that ran this long was sound: the next failure counts as the first. */
const soundMs = 60_000;
const mostRestarts = 6;

/** The pause before the n-th restart in a row, in milliseconds: 1 s, 2 s, 4 s … 30 s. */
export function backoffMs(restart: number): number {
  return Math.min(30_000, 1_000 * 2 ** (restart - 1));
}

/**
 * Supervises until the returned function is called, which ends supervision and not the process.
 *
 * @param say gets a line when the process died and when it was started again.
 */
export function supervise(supervised: Supervised, say: (line: string) => void): () => Promise<void> {
  const stopping = new AbortController();
  const ended = watch(supervised, say, stopping.signal);
  return async () => {
    stopping.abort();
    await ended;
  };
}

async function watch({ name, alive, start, onGiveUp }: Supervised, say: (line: string) => void, signal: AbortSignal): Promise<void> {
  let startedMs = Date.now();
  let restarts = 0;
  let lastError: unknown;
  while (await pause(lookMs, signal)) {
    if (alive()) continue;
    restarts = Date.now() - startedMs > soundMs ? 1 : restarts + 1;
    if (restarts > mostRestarts) {
      onGiveUp(lastError instanceof Error ? lastError : new Error(`${name} ended ${restarts} times in a row`));
      return;
    }
    say(`${name} ended unexpectedly; starting it again${restarts > 1 ? ` in ${backoffMs(restarts) / 1_000} s` : ''}`);
    if (!(await pause(restarts > 1 ? backoffMs(restarts) : 0, signal))) return;
    startedMs = Date.now();
    try {
      await start();
    } catch (error) {
      lastError = error;
      if (error instanceof UserError) return onGiveUp(error);
      say(`${name} could not be started: ${error instanceof Error ? error.message.split('\n', 1)[0] : String(error)}`);
    }
  }
}

/** False when `signal` ended the pause. */
async function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  try {
    await sleep(ms, undefined, { signal, ref: false });
    return !signal.aborted;
  } catch {
    return false;
  }
}
