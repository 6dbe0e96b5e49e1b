// An HTTP proxy that answers in a server's stead, loses its answers or cuts them short where a test says: what stands
// behind it stays a real S3 server.
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * - an S3 error: the server never hears of the request
 * - `reset`: nor then; the connection breaks
 * - `loseAnswer`: the server carries it out, and the connection breaks before its answer
 * - `cutAfter`: so many bytes of the answer's body arrive
 */
export type Fault = { status: number; code: string } | 'reset' | 'loseAnswer' | { cutAfter: number };

export interface FaultyS3Proxy {
  readonly port: number;
  /** The fault of a request, if any; `METHOD /path?query`, and its range. */
  fault: (line: string, headers: IncomingMessage['headers']) => Fault | undefined;
  /** How many faults there were. */
  faults: number;
  stop(): Promise<void>;
}

/** Listens on 127.0.0.1 and passes all on to `targetPort`, host and signature as they are. */
export async function startFaultyS3Proxy(targetPort: number): Promise<FaultyS3Proxy> {
  const server = createServer((from, to) => {
    const fault = proxy.fault(`${from.method} ${from.url}`, from.headers);
    if (fault !== undefined) proxy.faults++;
    if (fault === 'reset') return void from.socket.resetAndDestroy();
    if (typeof fault === 'object' && 'status' in fault) return void refuse(from, to, fault);
    const onward = request({ host: '127.0.0.1', port: targetPort, method: from.method, path: from.url, headers: from.headers, agent: false }, (answer) => {
      if (fault === 'loseAnswer') {
        answer.resume();
        return void answer.on('end', () => from.socket.resetAndDestroy());
      }
      to.writeHead(answer.statusCode!, answer.headers);
      let left = typeof fault === 'object' ? fault.cutAfter : Infinity;
      answer.on('data', (chunk: Buffer) => {
        to.write(chunk.subarray(0, Math.max(0, left)));
        left -= chunk.length;
        // what was written must have been sent
        if (left <= 0) setTimeout(() => from.socket.destroy(), 50);
      });
      answer.on('end', () => left > 0 && to.end());
      answer.on('error', () => from.socket.destroy());
    });
    onward.on('error', () => from.socket.resetAndDestroy());
    from.on('error', () => onward.destroy());
    from.pipe(onward);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const stop = async () => {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  };
  const proxy: FaultyS3Proxy = { port: (server.address() as AddressInfo).port, fault: () => undefined, faults: 0, stop };
  return proxy;
}

function refuse(from: IncomingMessage, to: ServerResponse, { status, code }: { status: number; code: string }): void {
  const answer = () => {
    to.writeHead(status, { 'content-type': 'application/xml' });
    to.end(from.method === 'HEAD' ? undefined : `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>injected</Message></Error>`);
  };
  from.on('end', answer).resume();
}
