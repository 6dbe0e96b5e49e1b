// Byte-pair merging: of all neighbouring tokens the pair of the lowest rank becomes one, the leftmost among equals,
// until no pair has a rank. Words are short and merged in place by looking through them again and again; a long piece
// (base64, DNA, ruled lines) takes a heap, O(n log n), where the former would take hours for a megabyte.

const NONE = -1;
const FREE = -1;
/** Ids are below it, so that a pair of them is an exact double. */
const MAX_IDS = 2 ** 21;

/** Which pairs of tokens become one, and in which order. */
export class PairTable {
  private readonly keys: Float64Array;
  private readonly ranks: Int32Array;
  private readonly mask: number;
  private readonly idOfRank: Int32Array;

  /** Room for `maxPairs` pairs of ranks below `maxRanks`. Ids and ranks are below 2 ** 21. */
  constructor(maxPairs: number, maxRanks: number) {
    const slots = 2 ** Math.ceil(Math.log2(2 * Math.max(2, maxPairs)));
    this.keys = new Float64Array(slots).fill(FREE);
    this.ranks = new Int32Array(slots);
    this.mask = slots - 1;
    this.idOfRank = new Int32Array(maxRanks);
  }

  /** Adds a pair that makes `id`; all pairs of a rank make the same one. Of two with the same tokens the last counts. */
  set(left: number, right: number, rank: number, id: number): void {
    const { keys, mask } = this;
    const key = left * MAX_IDS + right;
    let slot = slotOf(left, right) & mask;
    while (keys[slot] !== FREE && keys[slot] !== key) slot = (slot + 1) & mask;
    keys[slot] = key;
    this.ranks[slot] = rank;
    this.idOfRank[rank] = id;
  }

  /** The pair's rank; −1 if these tokens do not become one. */
  rankOf(left: number, right: number): number {
    const { keys, mask } = this;
    const key = left * MAX_IDS + right;
    for (let slot = slotOf(left, right) & mask; ; slot = (slot + 1) & mask) {
      const found = keys[slot]!;
      if (found === key) return this.ranks[slot]!;
      if (found === FREE) return NONE;
    }
  }

  /** What the pairs of a rank become. */
  idOf(rank: number): number {
    return this.idOfRank[rank]!;
  }
}

function slotOf(left: number, right: number): number {
  const mixed = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b);
  return mixed ^ (mixed >>> 15);
}

/** Up to here looking through all pairs is faster than a heap. */
const SHORT_PIECE_BYTES = 128;
const NO_RANK = 2 ** 31 - 1;

/** Bytes to tokens. Its tables are large and its memory is only in use while it merges: one serves many tokenizers. */
export class BytePairMerger {
  /** Of each pair of bytes: nearly half of all look-ups are for these. */
  private readonly byteRanks = new Int32Array(2 ** 16);
  /** Of the pair that begins at each offset of a short piece; NO_RANK where no token begins. */
  private readonly ranks = new Int32Array(SHORT_PIECE_BYTES);
  private readonly next = new Int32Array(SHORT_PIECE_BYTES);
  private readonly previous = new Int32Array(SHORT_PIECE_BYTES);

  /** `byteIds` [256]: the token of each byte. */
  constructor(
    private readonly pairs: PairTable,
    private readonly byteIds: Int32Array,
  ) {
    for (let pair = 0; pair < 2 ** 16; pair++) this.byteRanks[pair] = this.rank(byteIds[pair >> 8]!, byteIds[pair & 0xff]!);
  }

  /**
   * Writes the tokens of bytes[start, end) to into[at …], which has room for as many tokens as there are bytes.
   *
   * @returns where they end.
   */
  merge(bytes: Uint8Array, start: number, end: number, into: Uint32Array, at: number): number {
    const length = end - start;
    for (let offset = 0; offset < length; offset++) into[at + offset] = this.byteIds[bytes[start + offset]!]!;
    return length <= SHORT_PIECE_BYTES ? this.mergeShort(bytes, start, into, at, length) : this.mergeLong(into, at, length);
  }

  private mergeShort(bytes: Uint8Array, start: number, ids: Uint32Array, at: number, length: number): number {
    const { pairs, byteRanks, ranks, next, previous } = this;
    const last = length - 1;
    for (let offset = 0; offset < length; offset++) {
      next[offset] = offset + 1;
      previous[offset] = offset - 1;
      ranks[offset] = offset < last ? byteRanks[(bytes[start + offset]! << 8) | bytes[start + offset + 1]!]! : NO_RANK;
    }
    for (;;) {
      let best = 0;
      let bestRank = NO_RANK;
      for (let offset = 0; offset < last; offset++) {
        const rank = ranks[offset]!;
        if (rank < bestRank) {
          bestRank = rank;
          best = offset;
        }
      }
      if (bestRank === NO_RANK) break;
      const merged = pairs.idOf(bestRank);
      const right = next[best]!;
      const after = next[right]!;
      ids[at + best] = merged;
      ranks[right] = NO_RANK;
      next[best] = after;
      if (after < length) {
        previous[after] = best;
        ranks[best] = this.rank(merged, ids[at + after]!);
      } else ranks[best] = NO_RANK;
      const before = previous[best]!;
      if (before >= 0) ranks[before] = this.rank(ids[at + before]!, merged);
    }
    let end = at;
    for (let offset = 0; offset < length; offset = next[offset]!) ids[end++] = ids[at + offset]!;
    return end;
  }

  private rank(left: number, right: number): number {
    const rank = this.pairs.rankOf(left, right);
    return rank === NONE ? NO_RANK : rank;
  }

  private mergeLong(ids: Uint32Array, at: number, length: number): number {
    const { pairs } = this;
    // Tokens are a doubly linked list over the offsets where they begin; those merged away have next = NONE.
    const next = Int32Array.from({ length }, (_, offset) => offset + 1);
    const previous = Int32Array.from({ length }, (_, offset) => offset - 1);
    const rankAt = (offset: number) => (next[offset]! < length ? pairs.rankOf(ids[at + offset]!, ids[at + next[offset]!]!) : NONE);

    // Keys order by rank, then by offset: the leftmost pair of the lowest rank comes first.
    const heap = new MinHeap();
    const push = (offset: number) => {
      const rank = rankAt(offset);
      if (rank !== NONE) heap.push(rank * OFFSETS + offset);
    };
    for (let offset = 0; offset < length - 1; offset++) push(offset);

    for (let key = heap.pop(); key !== undefined; key = heap.pop()) {
      const offset = key % OFFSETS;
      const rank = Math.floor(key / OFFSETS);
      if (next[offset] === NONE || rankAt(offset) !== rank) continue;
      const right = next[offset]!;
      const after = next[right]!;
      ids[at + offset] = pairs.idOf(rank);
      next[offset] = after;
      next[right] = NONE;
      if (after < length) previous[after] = offset;
      if (previous[offset]! >= 0) push(previous[offset]!);
      push(offset);
    }

    let end = at;
    for (let offset = 0; offset < length; offset = next[offset]!) ids[end++] = ids[at + offset]!;
    return end;
  }
}

/** More than a piece can have bytes (V8's longest string), and rank × OFFSETS + offset stays an exact double. */
const OFFSETS = 2 ** 32;

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
