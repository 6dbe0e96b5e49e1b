// A TCP proxy that cuts connections where a test says: what stands behind it stays a real server.
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export interface FlakyProxy {
  readonly port: number;
  /** Bytes that went to clients. */
  sentBytes: number;
  /** Each entry: after so many more bytes to clients, the connection they go over is reset. */
  cuts: number[];
  isRefusing: boolean;
  stop(): Promise<void>;
}

/** Listens on 127.0.0.1 and passes all on to `targetPort`. */
export async function startFlakyProxy(targetPort: number): Promise<FlakyProxy> {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const target = connect(targetPort, '127.0.0.1');
    for (const socket of [client, target]) {
      sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => {
        sockets.delete(socket);
        client.destroy();
        target.destroy();
      });
    }
    client.on('data', (chunk) => (proxy.isRefusing ? client.resetAndDestroy() : target.write(chunk)));
    target.on('data', (chunk: Buffer) => {
      const left = proxy.cuts[0] ?? Infinity;
      proxy.sentBytes += Math.min(chunk.length, left);
      if (chunk.length < left) {
        if (proxy.cuts.length > 0) proxy.cuts[0] = left - chunk.length;
        client.write(chunk);
        return;
      }
      proxy.cuts.shift();
      target.pause();
      client.write(chunk.subarray(0, left), () => setTimeout(() => client.resetAndDestroy(), 100)); // What was written must have been read.
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const stop = async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((done) => server.close(done));
  };
  const proxy: FlakyProxy = { port: (server.address() as AddressInfo).port, sentBytes: 0, cuts: [], isRefusing: false, stop };
  return proxy;
}
