// The tokens of pieces met before: words recur, and looking one up takes a tenth of the time of merging its bytes.
import { ABSENT, ByteMap } from './byteMap.ts';

/** Longer pieces hardly ever recur. */
export const CACHED_PIECE_BYTES = 48;
const MAX_PIECES = 2 ** 17;
const MAX_KEY_BYTES = 2 ** 21;
const MAX_IDS = 2 ** 20;
/** A value is the one id of a piece, as its complement, or where its ids begin and how many there are. */
const COUNT_BITS = 6;

/** About 10 MB; forgets everything when it is full, and learns the common pieces again within a page. */
export class PieceCache {
  private readonly pieces = new ByteMap(MAX_PIECES, MAX_KEY_BYTES);
  private readonly ids = new Uint32Array(MAX_IDS);
  private idsUsed = 0;

  /** Copies the ids of the piece bytes[start, end) to into[at …] and returns where they end; `at` if it is not known. */
  recall(bytes: Uint8Array, start: number, end: number, into: Uint32Array, at: number): number {
    const value = this.pieces.get(bytes, start, end);
    if (value === ABSENT) return at;
    if (value < 0) {
      into[at] = ~value;
      return at + 1;
    }
    let from = value >> COUNT_BITS;
    const stop = from + (value & (2 ** COUNT_BITS - 1));
    while (from < stop) into[at++] = this.ids[from++]!;
    return at;
  }

  /** Remembers that the piece bytes[start, end), of at most CACHED_PIECE_BYTES, is ids[from, to). */
  learn(bytes: Uint8Array, start: number, end: number, ids: Uint32Array, from: number, to: number): void {
    const count = to - from;
    if (this.idsUsed + count > MAX_IDS) this.forget();
    const value = count === 1 ? ~ids[from]! : (this.idsUsed << COUNT_BITS) | count;
    if (!this.pieces.add(bytes, start, end, value)) {
      this.forget();
      this.learn(bytes, start, end, ids, from, to);
    } else if (count > 1) {
      this.ids.set(ids.subarray(from, to), this.idsUsed);
      this.idsUsed += count;
    }
  }

  private forget(): void {
    this.pieces.clear();
    this.idsUsed = 0;
  }
}
