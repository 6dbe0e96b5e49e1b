// Requests to the Hugging Face hub. Its files lie on other hosts, to which it redirects: the token must not follow there.
// Endpoint and token are found where huggingface's own tools find them, and never enter a configuration, log or plan.
// No library: @huggingface/hub neither retries nor resumes nor checks what it read, and that is all there is to do here.
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { UserError } from '../schemas/errors.ts';
import { hubUri, type HubLocation } from './hubUri.ts';
import { RemoteTrouble, withinTime } from './patience.ts';

const maxRedirects = 5;
const redirects = [301, 302, 303, 307, 308];

/** An answer of the hub, or of the host it redirected to. */
export interface HubAnswer {
  readonly response: Response;
  /** Content tag of a file as the hub itself states it: the SHA-256 of a large file, the git blob id of a small one. */
  readonly tag: string | undefined;
  /** Ends the connection. */
  readonly stop: () => void;
}

/** Where the hub is: HF_ENDPOINT (a mirror), else https://huggingface.co. */
export function hubEndpoint(): string {
  return (process.env['HF_ENDPOINT'] || 'https://huggingface.co').replace(/\/+$/, '');
}

/**
 * One GET, redirects followed.
 *
 * @param about what is asked for, for messages.
 * @throws UserError for what a person must mend; RemoteTrouble for what may pass.
 */
export async function askHub(url: string, about: HubLocation, idleMs: number, headers: Record<string, string> = {}): Promise<HubAnswer> {
  if (/^(1|true|yes|on)$/i.test(process.env['HF_HUB_OFFLINE'] ?? '')) {
    throw new UserError(`${hubUri(about)} is on the Hugging Face hub, and HF_HUB_OFFLINE forbids asking it`, 'Unset HF_HUB_OFFLINE, or download the files where there is a network and name the folder in corpus.paths.');
  }
  const home = new URL(hubEndpoint()).origin;
  const token = await hubToken();
  const abort = new AbortController();
  const stop = () => abort.abort();
  let tag: string | undefined;
  try {
    for (let hops = 0; hops <= maxRedirects; hops++) {
      const isHome = new URL(url).origin === home;
      const authorization: Record<string, string> = isHome && token !== undefined ? { authorization: `Bearer ${token}` } : {};
      const response = await request(url, { ...headers, ...authorization }, abort.signal, idleMs);
      if (isHome) tag ??= normalTag(response.headers.get('x-linked-etag') ?? (response.ok ? response.headers.get('etag') : null));
      const location = response.headers.get('location');
      if (!redirects.includes(response.status) || location === null) {
        if (!response.ok) throw await refusal(response, about, isHome, token !== undefined);
        return { response, tag, stop };
      }
      await response.body?.cancel();
      url = new URL(location, url).href;
    }
    throw new RemoteTrouble(`${hubUri(about)}: more than ${maxRedirects} redirects`);
  } catch (error) {
    stop();
    throw error;
  }
}

/** `"abc"` and `W/"abc"` are abc. */
export function normalTag(header: string | null): string | undefined {
  return header === null ? undefined : header.replace(/^W\//, '').replaceAll('"', '');
}

async function request(url: string, headers: Record<string, string>, signal: AbortSignal, idleMs: number): Promise<Response> {
  // What is counted and hashed are the file's own bytes, so no encoding on the way.
  const all = { 'user-agent': 'saeflow', 'accept-encoding': 'identity', ...headers };
  try {
    return await withinTime(fetch(url, { headers: all, redirect: 'manual', signal }), idleMs);
  } catch (cause) {
    if (cause instanceof RemoteTrouble) throw new RemoteTrouble(`${new URL(url).host}: ${cause.message}`, { cause });
    throw new RemoteTrouble(`${new URL(url).host} can't be reached: ${innermost(cause)}`, { cause });
  }
}

/** The environment first, then the file `hf auth login` writes. */
async function hubToken(): Promise<string | undefined> {
  const { HF_TOKEN, HUGGING_FACE_HUB_TOKEN, HF_TOKEN_PATH, HF_HOME, XDG_CACHE_HOME } = process.env;
  const given = (HF_TOKEN || HUGGING_FACE_HUB_TOKEN)?.trim();
  if (given) return given;
  const file = HF_TOKEN_PATH || join(HF_HOME || join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'huggingface'), 'token');
  return (await readFile(file, 'utf8').catch(() => '')).trim() || undefined;
}

async function refusal(response: Response, about: HubLocation, isHome: boolean, hasToken: boolean): Promise<Error> {
  const { status, headers } = response;
  await response.body?.cancel();
  const what = hubUri(about);
  const code = headers.get('x-error-code') ?? '';
  const said = headers.get('x-error-message') ?? '';
  const status4xx = status >= 400 && status < 500;
  // Another host's 403 or 404 is a signed address that has run out: the hub gives a new one.
  if (!isHome || !status4xx || [408, 425, 429].includes(status)) return new RemoteTrouble(`${what}: ${new URL(response.url).host} answered ${status} ${said}`.trimEnd(), { pauseMs: askedPauseMs(headers) });
  if (code === 'GatedRepo') {
    return new UserError(`${what} is gated: ${hasToken ? "the token's account has not been let in" : 'no token was given'}`, `Accept its terms at ${hubEndpoint()}/datasets/${about.repo} while logged in, then set HF_TOKEN to a token of that account (${hubEndpoint()}/settings/tokens).`);
  }
  if (code === 'RevisionNotFound') return noRevision(about);
  if (code === 'EntryNotFound') return new UserError(`${what} is not in the dataset`, `Look at the files at ${hubEndpoint()}/datasets/${about.repo}/tree/${encodeURIComponent(about.revision)}.`);
  if (status === 401 && /credentials|token/i.test(said)) return new UserError(`${what}: the hub refuses the token (${said})`, `Set HF_TOKEN to a valid token (${hubEndpoint()}/settings/tokens), or unset it for a public dataset.`);
  if (status === 401 || code === 'RepoNotFound' || status === 404) {
    return new UserError(
      `${what}: the hub has no dataset ${about.repo}, or it is private and ${hasToken ? "the token's account may not read it" : 'no token was given'}`,
      'Check the name. For a private dataset set HF_TOKEN to a token that may read it (read access to this repository is enough).',
    );
  }
  return new UserError(`${what}: the hub answered ${status}${said === '' ? '' : ` (${said})`}`, `Check the name and the rights of the token in HF_TOKEN at ${hubEndpoint()}/datasets/${about.repo}.`);
}

function noRevision(about: HubLocation): UserError {
  const isCommit = /^[0-9a-f]{40}$/.test(about.revision);
  return new UserError(
    `hf://datasets/${about.repo} has no revision ${about.revision}`,
    isCommit
      ? 'The commit was removed (a force-push, a deleted branch). Start the run again with a revision that exists; it is then pinned anew.'
      : `Use a branch, tag or commit of ${hubEndpoint()}/datasets/${about.repo}, or ~parquet for the converted files.`,
  );
}

/** Milliseconds named by Retry-After (seconds or a date), or by the hub's RateLimit header when nothing remains. */
function askedPauseMs(headers: Headers): number {
  const [, remaining, reset] = /r\s*=\s*(\d+)\s*;\s*t\s*=\s*(\d+)/.exec(headers.get('ratelimit') ?? '') ?? [];
  const retryAfter = headers.get('retry-after')?.trim();
  if (retryAfter !== undefined && /^\d+$/.test(retryAfter)) return Number(retryAfter) * 1_000;
  if (retryAfter !== undefined) return Math.max(0, Date.parse(retryAfter) - Date.now()) || 0;
  return remaining === '0' ? Number(reset) * 1_000 : 0;
}

/** fetch hides the cause of a failure one or two levels down. */
function innermost(error: unknown): string {
  let cause = error;
  while (cause instanceof Error && cause.cause !== undefined) cause = cause.cause;
  return cause instanceof Error ? cause.message || cause.name : String(cause);
}
