// A small static server for `saeflow open` and the tests: browsers refuse fetch() on file://, so the site needs some
// host. It binds to 127.0.0.1 only and answers only requests addressed to this machine, since pages show corpus text.
import { createReadStream } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, sep } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { UserError } from '../schemas/errors.ts';

export interface SiteServer {
  /** Ends with a slash, such as `http://127.0.0.1:40123/`. */
  url: string;
  /** Ends open connections and frees the port. */
  close(): Promise<void>;
}

const mimeTypes: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.jsonl': 'application/x-ndjson; charset=utf-8',
  '.txt': 'text/plain; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.wasm': 'application/wasm',
};

/** Names by which a browser on this machine may call the server; others are DNS rebinding. */
const localNames = new Set(['127.0.0.1', 'localhost', '[::1]']);

/**
 * Serves a dashboard's folder on 127.0.0.1.
 *
 * @param folder the site folder, holding index.html and data/.
 * @param options.port default: a free port.
 * @throws UserError when the folder holds no index.html or the port is taken.
 * @example
 * const site = await serveSite('.saeflow/site'); console.log(site.url); await site.close();
 */
export async function serveSite(folder: string, options: { port?: number } = {}): Promise<SiteServer> {
  const index = await stat(join(folder, 'index.html')).catch(() => undefined);
  if (index?.isFile() !== true) {
    throw new UserError(`${folder}: no index.html, so this is not a dashboard`, 'Give the folder that the exportDashboard stage wrote (`saeflow status` names it).');
  }
  const root = await realpath(folder);
  const server = createServer((request, response) => {
    answer(root, request, response).catch(() => response.destroy());
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

async function answer(root: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (!localNames.has((request.headers.host ?? '').replace(/:\d+$/, ''))) return refuse(response, 421, 'Misdirected request');
  if (request.method !== 'GET' && request.method !== 'HEAD') return refuse(response, 405, 'Method not allowed');
  const file = await findFile(root, request.url ?? '/');
  if (file === undefined) return refuse(response, 404, 'Not found');
  response.writeHead(200, {
    'content-type': mimeTypes[extname(file.path)] ?? 'application/octet-stream',
    'content-length': file.bytes,
    'cache-control': 'no-cache',
    'x-content-type-options': 'nosniff',
  });
  if (request.method === 'HEAD') {
    response.end();
    return;
  }
  await pipeline(createReadStream(file.path), response);
}

/** The file a request names, if it lies inside the folder: checked after symbolic links and `..` are resolved. */
async function findFile(root: string, url: string): Promise<{ path: string; bytes: number } | undefined> {
  try {
    const name = decodeURIComponent(url.split(/[?#]/, 1)[0] ?? '/');
    const path = await realpath(join(root, name.endsWith('/') ? `${name}index.html` : name));
    if (!path.startsWith(root + sep)) return undefined;
    const found = await stat(path);
    return found.isFile() ? { path, bytes: found.size } : undefined;
  } catch {
    return undefined;
  }
}

function refuse(response: ServerResponse, status: number, reason: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' });
  response.end(`${reason}\n`);
}
