// The SHA-256 that signs what a request to S3 carries. With a digest kernel large parts are hashed on another thread, while
// other parts are made and sent; everything else Node hashes at once.
import { createHash, createHmac } from 'node:crypto';
import { pieceHash } from './pieceHash.ts';

/** From here on it is worth another thread. */
const largeBytes = 2 ** 20;

type Data = string | ArrayBuffer | ArrayBufferView;

/** What the SDK asks of a client's `sha256`; with a secret, its HMAC. */
export class PayloadHash {
  private readonly secret: Uint8Array | undefined;
  private pieces: Uint8Array[] = [];

  constructor(secret?: Data) {
    this.secret = secret === undefined ? undefined : bytesOf(secret);
  }

  update(data: Data): void {
    this.pieces.push(bytesOf(data));
  }

  async digest(): Promise<Uint8Array> {
    const { secret, pieces } = this;
    if (secret === undefined && pieces.reduce((sum, { length }) => sum + length, 0) >= largeBytes) {
      const beside = pieceHash();
      for (const piece of pieces) await beside.add(piece);
      return Buffer.from(await beside.digest(), 'hex');
    }
    const hash = secret === undefined ? createHash('sha256') : createHmac('sha256', secret);
    for (const piece of pieces) hash.update(piece);
    return hash.digest();
  }

  reset(): void {
    this.pieces = [];
  }
}

function bytesOf(data: Data): Uint8Array {
  if (typeof data === 'string') return Buffer.from(data);
  return ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : new Uint8Array(data);
}
