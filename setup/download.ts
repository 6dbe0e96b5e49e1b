// Fetches one file over HTTP for set-up, and checks files against pinned hashes. A closed network must cost seconds, not minutes, and a body that breaks off
// must never be taken for the whole: both are told from a site that says no, which is final.

import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { UserError } from '../schemas/errors.ts';

/** Patience in milliseconds. */
export interface DownloadLimits {
  /** Until the response's headers are there. */
  responseMs: number;
  /** Until the whole body is there. */
  bodyMs: number;
  /** Between tries after a broken body. */
  retryMs: number;
}

const usualLimits: DownloadLimits = { responseMs: 6_000, bodyMs: 900_000, retryMs: 1_000 };
const tries = 3;

/** A body that ended early; worth another try. */
class BrokenBody extends Error {}

/**
 * Writes the body of `url` to `path`, trying again when it breaks off.
 *
 * @throws Error when the site can't be reached, answers with an error status, or breaks off every time.
 */
export async function downloadFile(url: string, path: string, log: (line: string) => void, limits: DownloadLimits = usualLimits): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await downloadOnce(url, path, limits);
    } catch (error) {
      if (!(error instanceof BrokenBody) || attempt === tries) throw error;
      log(`${error.message}; trying again`);
      await sleep(limits.retryMs);
    }
  }
}

async function downloadOnce(url: string, path: string, limits: DownloadLimits): Promise<void> {
  const abort = new AbortController();
  const noResponse = setTimeout(() => abort.abort(new Error(`no response within ${limits.responseMs / 1000} s`)), limits.responseMs);
  const response = await fetch(url, { signal: abort.signal })
    .catch((error: unknown) => {
      throw new Error(`${new URL(url).host} can't be reached: ${reasonOf(error)}`);
    })
    .finally(() => clearTimeout(noResponse));
  if (!response.ok || !response.body) throw new Error(`${new URL(url).host} answered ${response.status} for ${url}`);
  const bodyLimit = setTimeout(() => abort.abort(new Error(`not finished within ${limits.bodyMs / 1000} s`)), limits.bodyMs);
  try {
    await pipeline(bodyOf(response.body), createWriteStream(path));
  } catch (error) {
    throw new BrokenBody(`the download of ${url} broke off: ${reasonOf(error)}`);
  } finally {
    clearTimeout(bodyLimit);
  }
  const declaredBytes = Number(response.headers.get('content-length') ?? Number.NaN);
  const { size } = await stat(path);
  if (size !== declaredBytes && !Number.isNaN(declaredBytes)) throw new BrokenBody(`the download of ${url} broke off at ${size} of ${declaredBytes} bytes`);
}

/** Throws a UserError when the file's SHA-256 is not `expected`. */
export async function verifySha256(path: string, expected: string): Promise<void> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  const found = hash.digest('hex');
  if (found === expected) return;
  throw new UserError(
    `${basename(path)} has SHA-256 ${found}, not the pinned ${expected}; it was not used.`,
    'Run npm run setup again; if it happens again, the package source in use serves a changed file.',
  );
}

async function* bodyOf(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = body.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value;
}

/** fetch hides the cause of a failure one or two levels down. */
function reasonOf(error: unknown): string {
  let innermost = error;
  while (innermost instanceof Error && innermost.cause !== undefined) innermost = innermost.cause;
  return innermost instanceof Error ? innermost.message || innermost.name : String(innermost);
}
