// A Hugging Face hub on this machine: real sockets, the paths, status codes and headers of huggingface.co, and its large
// files on a second server, to which it redirects. It breaks where a test tells it to. huggingface's own Python client
// reads it (test/oracle/hub_client.py), which is how it is known to speak the protocol.
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

const largeBytes = 2_000;

/** What one request meets instead of a right answer; `sent` bytes of the body still go out. */
export type Fault =
  | { kind: 'none' }
  | { kind: 'status'; status: number; headers?: Record<string, string> }
  /** The connection is closed as if all were sent. */
  | { kind: 'truncate'; sent: number }
  | { kind: 'reset'; sent: number }
  /** Nothing more is sent, and nothing closed. */
  | { kind: 'stall'; sent: number }
  | { kind: 'flip' }
  | { kind: 'ignoreRange' }
  /** Of a small file: another content's tag. */
  | { kind: 'tag' };

export interface SeenRequest {
  host: 'hub' | 'cdn';
  path: string;
  authorization: string | undefined;
  range: string | undefined;
}

export interface Dataset {
  /** Branches and tags to commits. */
  refs: Record<string, string>;
  commits: Record<string, Record<string, Uint8Array>>;
  /** Only with this token. */
  token?: string;
  isGated?: boolean;
}

export interface HubServer {
  endpoint: string;
  datasets: Record<string, Dataset>;
  /** Consumed one by one by requests whose path contains `on`, of the host named. */
  faults: { host: 'hub' | 'cdn'; on: string; fault: Fault }[];
  seen: SeenRequest[];
  pageSize: number;
  stop(): Promise<void>;
}

/** Starts a hub without datasets. */
export async function startHubServer(): Promise<HubServer> {
  const state: HubServer = { endpoint: '', datasets: {}, faults: [], seen: [], pageSize: 1_000, stop: async () => void (await Promise.all([close(hub), close(cdn)])) };
  const blobs = new Map<string, Uint8Array>();
  const note = (host: 'hub' | 'cdn', request: IncomingMessage) => {
    const path = decodeURIComponent(request.url ?? '');
    state.seen.push({ host, path, authorization: request.headers.authorization, range: request.headers.range });
    const at = state.faults.findIndex((fault) => fault.host === host && path.includes(fault.on));
    return at < 0 ? undefined : state.faults.splice(at, 1)[0]!.fault;
  };
  const cdn = createServer((request, response) => {
    const fault = note('cdn', request);
    const sha256 = /^\/blob\/([0-9a-f]{64})\?signature=ok$/.exec(request.url ?? '')?.[1];
    const bytes = sha256 === undefined ? undefined : blobs.get(sha256);
    if (bytes === undefined) return void response.writeHead(403).end('signature');
    sendBytes(request, response, bytes, { etag: '"cdn-etag"' }, fault);
  });
  const hub = createServer((request, response) => {
    const fault = note('hub', request);
    if (fault?.kind === 'status') return void response.writeHead(fault.status, fault.headers).end('fault');
    answerHub(state, blobs, cdnUrl, request, response, fault);
  });
  const cdnUrl = await listen(cdn);
  state.endpoint = await listen(hub);
  return state;
}

/** A commit's name: 40 hexadecimal digits. */
export function commitName(name: string): string {
  return createHash('sha1').update(name).digest('hex');
}

function answerHub(state: HubServer, blobs: Map<string, Uint8Array>, cdnUrl: string, request: IncomingMessage, response: ServerResponse, fault: Fault | undefined): void {
  const url = new URL(request.url ?? '', state.endpoint);
  const [, repo = '', kind = 'revision', rest = 'main'] = /^\/(?:api\/)?datasets\/([^/]+\/[^/]+)(?:\/(revision|tree|resolve|paths-info)\/(.+))?$/.exec(url.pathname) ?? [];
  const dataset = state.datasets[repo];
  const token = request.headers.authorization?.replace('Bearer ', '');
  const refuse = (status: number, code: string, message: string) => void response.writeHead(status, { 'x-error-code': code, 'x-error-message': message }).end(JSON.stringify({ error: message }));
  if (token === 'nonsense') return refuse(401, '', 'Invalid credentials in Authorization header');
  if (dataset === undefined || (dataset.token !== undefined && dataset.token !== token && dataset.isGated !== true)) {
    return token === undefined ? refuse(401, 'RepoNotFound', 'Invalid username or password.') : refuse(404, 'RepoNotFound', 'Repository not found');
  }
  const isShut = dataset.isGated === true && dataset.token !== token;
  const [first = '', ...others] = rest.split('/');
  const revision = decodeURIComponent(first);
  const sha = dataset.refs[revision] ?? revision;
  const files = dataset.commits[sha];
  if (files === undefined) return refuse(404, 'RevisionNotFound', `Invalid rev id: ${revision}`);
  const path = decodeURIComponent(others.join('/'));
  if (kind === 'revision') return sendJson(response, { id: repo, sha, private: dataset.token !== undefined, gated: dataset.isGated ?? false, siblings: Object.keys(files).map((rfilename) => ({ rfilename })) });
  if (isShut) return refuse(token === undefined ? 401 : 403, 'GatedRepo', `Access to dataset ${repo} is restricted.`);
  if (kind === 'tree') return sendTree(state, files, path, url, response, refuse);
  if (kind === 'paths-info') return sendJson(response, Object.keys(files).filter((name) => name === path).map((name) => entryOf(name, files[name]!)));
  const bytes = files[path];
  if (bytes === undefined) return refuse(404, 'EntryNotFound', 'Entry not found');
  const common = { 'x-repo-commit': sha, 'accept-ranges': 'bytes' };
  if (bytes.length < largeBytes) return sendBytes(request, response, bytes, { ...common, etag: `"${fault?.kind === 'tag' ? gitBlob(Buffer.from('other')) : gitBlob(bytes)}"` }, fault);
  const sha256 = sha256Of(bytes);
  blobs.set(sha256, bytes);
  const linked = { 'x-linked-etag': `"${fault?.kind === 'tag' ? sha256Of(Buffer.from('other')) : sha256}"`, 'x-linked-size': String(bytes.length) };
  response.writeHead(302, { ...common, ...linked, location: `${cdnUrl}/blob/${sha256}?signature=ok` }).end();
}

function sendTree(state: HubServer, files: Record<string, Uint8Array>, folder: string, url: URL, response: ServerResponse, refuse: (status: number, code: string, message: string) => void): void {
  const isRecursive = url.searchParams.get('recursive')?.toLowerCase() === 'true';
  const prefix = folder === '' ? '' : `${folder}/`;
  const below = Object.keys(files).filter((name) => name.startsWith(prefix)).sort();
  if (below.length === 0 && folder !== '') return refuse(404, 'EntryNotFound', `${folder} does not exist`);
  const folders = [...new Set(below.flatMap((name) => name.split('/').slice(0, -1).map((_, depth, parts) => parts.slice(0, depth + 1).join('/'))))].filter((name) => name.startsWith(prefix) && name !== folder);
  const isShown = (name: string) => isRecursive || !name.slice(prefix.length).includes('/');
  const entries = [...folders.filter(isShown).map((path) => ({ type: 'directory', oid: gitBlob(Buffer.from(path)), size: 0, path })), ...below.filter(isShown).map((name) => entryOf(name, files[name]!))];
  const start = Number(url.searchParams.get('cursor') ?? 0);
  const end = start + state.pageSize;
  const next = new URL(url);
  next.searchParams.set('cursor', String(end));
  sendJson(response, entries.slice(start, end), end < entries.length ? { link: `<${next.href}>; rel="next"` } : {});
}

function entryOf(path: string, bytes: Uint8Array) {
  const lfs = bytes.length < largeBytes ? {} : { lfs: { oid: sha256Of(bytes), size: bytes.length, pointerSize: 134 } };
  return { type: 'file', oid: gitBlob(bytes), size: bytes.length, path, ...lfs };
}

function sendBytes(request: IncomingMessage, response: ServerResponse, whole: Uint8Array, headers: Record<string, string>, fault: Fault | undefined): void {
  if (fault?.kind === 'status') return void response.writeHead(fault.status, fault.headers).end('fault');
  const range = fault?.kind === 'ignoreRange' ? null : /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
  const start = Number(range?.[1] ?? 0);
  const end = range?.[2] ? Number(range[2]) + 1 : whole.length;
  if (start >= whole.length && whole.length > 0) return void response.writeHead(416, { 'content-range': `bytes */${whole.length}` }).end();
  const body = Buffer.from(whole.subarray(start, end));
  if (fault?.kind === 'flip') body[body.length - 2]! ^= 1;
  response.writeHead(range === null ? 200 : 206, { ...headers, 'content-length': body.length, ...(range === null ? {} : { 'content-range': `bytes ${start}-${Math.min(end, whole.length) - 1}/${whole.length}` }) });
  if (request.method === 'HEAD') return void response.end();
  if (fault === undefined || !('sent' in fault)) return void response.end(body);
  response.write(body.subarray(0, fault.sent), () => {
    if (fault.kind === 'truncate') response.socket?.end();
    if (fault.kind === 'reset') setTimeout(() => response.socket?.resetAndDestroy(), 100); // What was written must have been read.
  });
}

function sendJson(response: ServerResponse, value: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(200, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
}

function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function gitBlob(bytes: Uint8Array): string {
  return createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
}

async function listen(server: Server): Promise<string> {
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function close(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise((done) => server.close(done));
}
