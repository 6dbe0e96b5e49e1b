// A static host as a careful administrator sets it up: the site in a sub-path, every answer (the worker's too) with a
// strict content security policy, nothing else reachable.
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join } from 'node:path';

const types: Record<string, string> = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.json': 'application/json', '.wasm': 'application/wasm' };
const policy = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none'";

export interface StrictServer {
  url: string;
  /** Paths asked for, below the sub-path. */
  requests: string[];
  close(): Promise<void>;
}

/** Serves `folder` at /some/where/. */
export async function serveStrictly(folder: string): Promise<StrictServer> {
  const prefix = '/some/where/';
  const requests: string[] = [];
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://localhost').pathname;
    if (!path.startsWith(prefix)) return void response.writeHead(404).end();
    const name = path.slice(prefix.length) || 'index.html';
    requests.push(name);
    readFile(join(folder, name)).then(
      (bytes) => response.writeHead(200, { 'content-type': types[extname(name)] ?? 'application/octet-stream', 'content-security-policy': policy, 'x-content-type-options': 'nosniff' }).end(bytes),
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}${prefix}`,
    requests,
    close: () =>
      new Promise((resolve, reject) => {
        server.close((error) => (error === undefined ? resolve() : reject(error)));
        server.closeAllConnections();
      }),
  };
}
