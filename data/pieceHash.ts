// The SHA-256 of an object that is written piece by piece. With a digest kernel it runs on another thread, beside the making
// and the writing of the pieces; else here.
import { createHash } from 'node:crypto';
import { digestKernel, type DigestKernel, type NativeHash } from './digestKernel.ts';

/** Pieces that wait to be hashed make their giver wait from here on, so that memory is bounded. */
const waitingBytesAtMost = 16 * 2 ** 20;

export interface PieceHash {
  /** Takes a piece, which must not change any more. Await it before the next. */
  add(piece: Uint8Array): Promise<void>;
  /** Of all pieces, in hexadecimal. Nothing may be added after it. */
  digest(): Promise<string>;
}

export function pieceHash(): PieceHash {
  const kernel = digestKernel();
  if (kernel !== undefined) return new HashBeside(kernel);
  const hash = createHash('sha256');
  return {
    add(piece) {
      hash.update(piece);
      return Promise.resolve();
    },
    digest: () => Promise.resolve(hash.digest('hex')),
  };
}

class HashBeside implements PieceHash {
  private readonly kernel: DigestKernel;
  private readonly hash: NativeHash;
  private waiting: Uint8Array[] = [];
  private waitingBytes = 0;
  /** The pieces that are being hashed. */
  private hashing: Promise<void> = Promise.resolve();
  /** All that were given so far. */
  private running: Promise<void> | undefined;

  constructor(kernel: DigestKernel) {
    this.kernel = kernel;
    this.hash = kernel.createHash();
  }

  async add(piece: Uint8Array): Promise<void> {
    this.waiting.push(piece);
    this.waitingBytes += piece.length;
    this.running ??= this.drain();
    // until the pieces before these are in, no longer: the hash must never want for the next
    while (this.waitingBytes > waitingBytesAtMost) await this.hashing;
  }

  async digest(): Promise<string> {
    await this.running;
    const bytes = Buffer.alloc(32);
    this.kernel.digest(this.hash, bytes);
    return bytes.toString('hex');
  }

  private async drain(): Promise<void> {
    while (this.waiting.length > 0) {
      const pieces = this.waiting;
      this.waiting = [];
      this.waitingBytes = 0;
      this.hashing = this.kernel.hash(this.hash, pieces);
      await this.hashing;
    }
    this.running = undefined;
  }
}
