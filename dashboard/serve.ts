// A small static server for `saeflow open` and the tests: browsers refuse fetch() on file://, so the site needs some
// host. It binds to 127.0.0.1 only and answers only requests addressed to this machine, since pages show corpus text.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { UserError } from '../schemas/errors.ts';
import { mimeType } from './mimeTypes.ts';
import { folderSource, type SiteFile, type SiteSource } from './siteSource.ts';

export interface SiteServer {
  /** Ends with a slash, such as `http://127.0.0.1:40123/`. */
  url: string;
  /** Ends open connections and frees the port. */
  close(): Promise<void>;
}

/** Names by which a browser on this machine may call the server; others are DNS rebinding. */
const localNames = new Set(['127.0.0.1', 'localhost', '[::1]']);

/**
 * Serves a dashboard on 127.0.0.1, whole files or the ranges a browser asks for.
 *
 * @param site its folder, holding index.html and data/, or where else its files come from.
 * @param options.port default: a free port.
 * @throws UserError when there is no index.html or the port is taken.
 * @example
 * const site = await serveSite('.saeflow/site'); console.log(site.url); await site.close();
 */
export async function serveSite(site: string | SiteSource, options: { port?: number } = {}): Promise<SiteServer> {
  const source = typeof site === 'string' ? await folderSource(site).catch(() => undefined) : site;
  if ((await source?.find('index.html')) === undefined) {
    throw new UserError(`${typeof site === 'string' ? site : 'the store'}: no index.html, so this is not a dashboard`, 'Give the folder that the exportDashboard stage wrote (`saeflow status` names it).');
  }
  const server = createServer((request, response) => {
    answer(source!, request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const taken = error.code === 'EADDRINUSE';
      reject(taken ? new UserError(`port ${options.port} is in use`, 'Choose another port, or none to take a free one.', { cause: error }) : error);
    });
    server.listen(options.port ?? 0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/`,
    close: () =>
      new Promise((resolve, reject) => {
        server.close((error) => (error === undefined ? resolve() : reject(error)));
        server.closeAllConnections();
      }),
  };
}

async function answer(source: SiteSource, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (!localNames.has((request.headers.host ?? '').replace(/:\d+$/, ''))) return refuse(response, 421, 'Misdirected request');
  if (request.method !== 'GET' && request.method !== 'HEAD') return refuse(response, 405, 'Method not allowed');
  const name = nameIn(request.url ?? '/');
  const file = name === undefined ? undefined : await source.find(name);
  if (name === undefined || file === undefined) return refuse(response, 404, 'Not found');
  const tag = `"${file.version}"`;
  const headers = { 'content-type': mimeType(name), etag: tag, 'accept-ranges': 'bytes', 'cache-control': 'no-cache', 'x-content-type-options': 'nosniff' };
  if (matches(request.headers['if-none-match'], tag)) {
    response.writeHead(304, headers).end();
    return;
  }
  const range = rangeOf(request, tag, file);
  if (range === 'unsatisfiable') {
    response.writeHead(416, { ...headers, 'content-range': `bytes */${file.bytes}` }).end();
    return;
  }
  const { start, length } = range ?? { start: 0, length: file.bytes };
  if (range === undefined) response.writeHead(200, { ...headers, 'content-length': length });
  else response.writeHead(206, { ...headers, 'content-length': length, 'content-range': `bytes ${start}-${start + length - 1}/${file.bytes}` });
  if (request.method === 'HEAD') response.end();
  else await pipeline(Readable.from(file.read(start, length), { objectMode: false }), response);
}

/** The file a request names, '' and folders meaning their index.html; undefined for what is no name. */
function nameIn(url: string): string | undefined {
  try {
    const name = decodeURIComponent(url.split(/[?#]/, 1)[0] ?? '/').replace(/^\/+/, '');
    return name === '' || name.endsWith('/') ? `${name}index.html` : name;
  } catch {
    return undefined;
  }
}

function matches(header: string | undefined, tag: string): boolean {
  return header !== undefined && header.split(',').some((one) => one.trim() === '*' || one.trim().replace(/^W\//, '') === tag);
}

/** The one range asked for; undefined where the whole file is to be sent: none asked for, several, or of another version. */
function rangeOf({ headers, method }: IncomingMessage, tag: string, { bytes }: SiteFile): { start: number; length: number } | 'unsatisfiable' | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(headers.range?.trim() ?? '');
  if (match === null || method !== 'GET' || (headers['if-range'] !== undefined && headers['if-range'] !== tag)) return undefined;
  const [first, last] = [match[1]!, match[2]!];
  if (first === '' && last === '') return undefined;
  const start = first === '' ? Math.max(0, bytes - Number(last)) : Number(first);
  const end = first === '' || last === '' ? bytes : Math.min(bytes, Number(last) + 1);
  if (first !== '' && last !== '' && Number(last) < start) return undefined;
  return start >= end ? 'unsatisfiable' : { start, length: end - start };
}

function refuse(response: ServerResponse, status: number, reason: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' });
  response.end(`${reason}\n`);
}
