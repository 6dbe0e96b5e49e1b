// Byte-pair merging of one long piece in O(n log n).
// WHY: tiktoken's WASM build merges a piece in O(n²) and its regular expression overflows its stack on a
// megabyte of white space; a corpus with base64, DNA or ruled lines would hang or kill a worker. Only
// pieces longer than any natural word come here; the answer is the same, token for token.

/** The rank of every token, keyed by its bytes as a latin-1 string ("\xe3\x81"); a token's rank is its id. */
export type Ranks = ReadonlyMap<string, number>;

/**
 * Merges the bytes of one piece by ascending rank, leftmost first among equals, as GPT-2's BPE does.
 *
 * @param bytes the piece, UTF-8; every single byte must be a token of `ranks`.
 * @returns token ids.
 */
export function mergeBytePairs(bytes: Uint8Array, ranks: Ranks): number[] {
  const piece = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
  const length = piece.length;
  // Parts are a doubly linked list over start offsets; a part that was merged into its left neighbour has next = -1.
  const next = Int32Array.from({ length }, (_, start) => start + 1);
  const previous = Int32Array.from({ length }, (_, start) => start - 1);
  const end = (start: number) => next[start] as number;
  const pairRank = (start: number): number | undefined => {
    const middle = end(start);
    return middle < length ? ranks.get(piece.slice(start, end(middle))) : undefined;
  };

  // Heap keys order by rank, then by position: the leftmost pair of the lowest rank comes first.
  const heap = new MinHeap();
  const push = (start: number) => {
    const rank = pairRank(start);
    if (rank !== undefined) heap.push(rank * POSITIONS + start);
  };
  for (let start = 0; start < length - 1; start++) push(start);

  for (let key = heap.pop(); key !== undefined; key = heap.pop()) {
    const start = key % POSITIONS;
    const stale = next[start] === -1 || pairRank(start) !== Math.floor(key / POSITIONS);
    if (stale) continue;
    const middle = end(start);
    const after = end(middle);
    next[start] = after;
    next[middle] = -1;
    if (after < length) previous[after] = start;
    if ((previous[start] as number) >= 0) push(previous[start] as number);
    push(start);
  }

  const ids: number[] = [];
  for (let start = 0; start < length; start = end(start)) ids.push(ranks.get(piece.slice(start, end(start))) as number);
  return ids;
}

/** More than a piece can have bytes (V8's longest string), and rank × POSITIONS + position stays an exact double. */
const POSITIONS = 2 ** 32;

class MinHeap {
  private readonly keys: number[] = [];

  push(key: number): void {
    const keys = this.keys;
    let at = keys.length;
    keys.push(key);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if ((keys[parent] as number) <= key) break;
      keys[at] = keys[parent] as number;
      at = parent;
    }
    keys[at] = key;
  }

  pop(): number | undefined {
    const keys = this.keys;
    const least = keys[0];
    const last = keys.pop();
    if (last === undefined || keys.length === 0) return least;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= keys.length) break;
      if (child + 1 < keys.length && (keys[child + 1] as number) < (keys[child] as number)) child++;
      if ((keys[child] as number) >= last) break;
      keys[at] = keys[child] as number;
      at = child;
    }
    keys[at] = last;
    return least;
  }
}
