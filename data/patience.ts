// Networks break; a corpus must not. A request is made again after a growing pause, a stream goes on at the byte where
// it broke, and only what time can't mend ends the reading: that is a UserError, or content that is no longer the same.
import { setTimeout as sleep } from 'node:timers/promises';
import { UserError } from '../schemas/errors.ts';

/** How long to keep asking. */
export interface Patience {
  /** Tries without a single new byte before giving up. */
  readonly tries: number;
  /** Pause before the second try; it doubles each time, up to `maxPauseMs`. */
  readonly firstPauseMs: number;
  readonly maxPauseMs: number;
  /** Without an answer or a byte for so long, a connection counts as broken. */
  readonly idleMs: number;
  /** Told as bytes come: a long download is no hang. */
  readonly onBytes?: (bytes: number) => void;
}

/** Two minutes without a byte; then Temporal's retries go on, on this worker or another. */
export const defaultPatience: Patience = { tries: 8, firstPauseMs: 1_000, maxPauseMs: 60_000, idleMs: 60_000 };
/** For a look from the command line, where a person waits. */
export const shortPatience: Patience = { tries: 1, firstPauseMs: 0, maxPauseMs: 0, idleMs: 5_000 };

/** A server may name a time; this is the longest we sleep in one go. */
const maxServerPauseMs = 600_000;

/** What may pass by itself: a full server, a broken connection, a body cut short. */
export class RemoteTrouble extends Error {
  override readonly name = 'RemoteTrouble';
  /** How long the server asks to be left alone. */
  readonly pauseMs: number;

  constructor(message: string, { pauseMs = 0, cause }: { pauseMs?: number | undefined; cause?: unknown } = {}) {
    super(message, { cause });
    this.pauseMs = pauseMs;
  }
}

/** What is served is not what the corpus was resolved to. Beginning again may help, going on can't. */
export class ChangedContent extends Error {
  override readonly name = 'ChangedContent';
}

/**
 * `work`'s result, asked for again while it fails for passing reasons.
 *
 * @throws UserError, ChangedContent as `work` does, at once; RemoteTrouble when patience ends.
 */
export async function withPatience<T>(patience: Patience, work: () => Promise<T>): Promise<T> {
  for (let failures = 1; ; failures++) {
    try {
      return await work();
    } catch (error) {
      await pauseAfter(error, failures, patience);
    }
  }
}

/**
 * Bytes [start, end) of something far away, as one stream.
 *
 * @param open bytes from an offset on; more than asked for are cut off.
 * @throws UserError, ChangedContent as `open` does, at once; RemoteTrouble when `patience.tries` brought no byte.
 */
export async function* readResumably(open: (start: number) => Promise<AsyncIterable<Uint8Array>>, start: number, end: number, patience: Patience): AsyncGenerator<Buffer> {
  let at = start;
  for (let failures = 1; at < end; failures++) {
    try {
      for await (const chunk of await open(at)) {
        const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, Math.min(chunk.byteLength, end - at));
        at += bytes.length;
        if (bytes.length > 0) failures = 0;
        patience.onBytes?.(bytes.length);
        yield bytes;
        if (at === end) return;
      }
      throw new RemoteTrouble(`the body broke off at byte ${at} of ${end}`);
    } catch (error) {
      await pauseAfter(error, Math.max(failures, 1), patience);
    }
  }
}

/**
 * A body that may not stand still.
 *
 * @param stop ends the connection; called when the body stood still, and when the reader goes away early.
 * @throws RemoteTrouble after `idleMs` without a byte.
 */
export async function* unlessIdle(body: AsyncIterable<Uint8Array>, idleMs: number, stop: () => void): AsyncGenerator<Uint8Array> {
  const iterator = body[Symbol.asyncIterator]();
  try {
    for (;;) {
      const { done, value } = await withinTime(iterator.next(), idleMs);
      if (done === true) return;
      yield value;
    }
  } finally {
    stop();
  }
}

/** Throws RemoteTrouble when `promise` takes longer than `ms`. */
export async function withinTime<T>(promise: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new RemoteTrouble(`nothing came for ${ms / 1000} s`)), ms);
  });
  // Whoever loses the race may still fail, later and unheard.
  promise.catch(() => undefined);
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

async function pauseAfter(error: unknown, failures: number, { tries, firstPauseMs, maxPauseMs }: Patience): Promise<void> {
  if (error instanceof UserError || error instanceof ChangedContent) throw error;
  // Sockets and streams fail with errors of any class.
  if (failures >= tries) throw error instanceof RemoteTrouble ? error : new RemoteTrouble(error instanceof Error ? error.message : String(error), { cause: error });
  const grown = Math.min(firstPauseMs * 2 ** (failures - 1), maxPauseMs);
  const asked = error instanceof RemoteTrouble ? Math.min(error.pauseMs, maxServerPauseMs) : 0;
  // Many workers were turned away together; they should not come back together.
  await sleep(asked + grown * (0.5 + Math.random() / 2));
}
