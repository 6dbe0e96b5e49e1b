// Byte-pair merging: of all neighbouring tokens the pair of the lowest rank becomes one, the leftmost among equals,
// until no pair has a rank. Words are short and merged in place by looking through them again and again; a long piece
// (base64, DNA, ruled lines) takes a heap, O(n log n), where the former would take hours for a megabyte.

/** A pair is its left id + 1 (0 is a free slot), its right id, its rank, and the id of both together. */
const PAIR = 4;
const RIGHT = 1;
const RANK = 2;
const ID = 3;
const NONE = -1;

/** Which pairs of tokens become one, and in which order. */
export class PairTable {
  private readonly pairs: Int32Array;
  private readonly mask: number;

  /** Room for `maxPairs` pairs. Ranks are below 2 ** 21. */
  constructor(maxPairs: number) {
    const slots = 2 ** Math.ceil(Math.log2(1.5 * Math.max(2, maxPairs)));
    this.pairs = new Int32Array(PAIR * slots);
    this.mask = slots - 1;
  }

  /** Adds a pair; of two with the same tokens the last counts. */
  set(left: number, right: number, rank: number, id: number): void {
    const { pairs, mask } = this;
    let slot = slotOf(left, right) & mask;
    while (pairs[PAIR * slot] !== 0 && !(pairs[PAIR * slot] === left + 1 && pairs[PAIR * slot + RIGHT] === right)) slot = (slot + 1) & mask;
    pairs.set([left + 1, right, rank, id], PAIR * slot);
  }

  /** Where the pair is, for rankAt and idAt; −1 if these tokens do not become one. */
  find(left: number, right: number): number {
    const { pairs, mask } = this;
    for (let slot = slotOf(left, right) & mask; ; slot = (slot + 1) & mask) {
      const found = pairs[PAIR * slot]!;
      if (found === 0) return NONE;
      if (found === left + 1 && pairs[PAIR * slot + RIGHT] === right) return slot;
    }
  }

  rankAt(slot: number): number {
    return this.pairs[PAIR * slot + RANK]!;
  }

  idAt(slot: number): number {
    return this.pairs[PAIR * slot + ID]!;
  }
}

function slotOf(left: number, right: number): number {
  const mixed = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b);
  return mixed ^ (mixed >>> 15);
}

/** Up to here looking through all pairs is faster than a heap. */
const SHORT_PIECE_BYTES = 128;
const NO_RANK = 2 ** 31 - 1;

/** Bytes to tokens. */
export class BytePairMerger {
  /** Of the pair that begins at each token of a short piece. */
  private readonly ranks = new Int32Array(SHORT_PIECE_BYTES);
  private readonly merged = new Int32Array(SHORT_PIECE_BYTES);

  /** `byteIds` [256]: the token of each byte. */
  constructor(
    private readonly pairs: PairTable,
    private readonly byteIds: Int32Array,
  ) {}

  /**
   * Writes the tokens of bytes[start, end) to into[at …], which has room for as many tokens as there are bytes.
   *
   * @returns where they end.
   */
  merge(bytes: Uint8Array, start: number, end: number, into: Uint32Array, at: number): number {
    const length = end - start;
    for (let offset = 0; offset < length; offset++) into[at + offset] = this.byteIds[bytes[start + offset]!]!;
    return length <= SHORT_PIECE_BYTES ? this.mergeShort(into, at, length) : this.mergeLong(into, at, length);
  }

  private mergeShort(ids: Uint32Array, at: number, length: number): number {
    const { ranks, merged } = this;
    for (let i = 0; i + 1 < length; i++) this.rank(ids, at, i);
    let count = length;
    while (count > 1) {
      let best = 0;
      for (let i = 1; i + 1 < count; i++) if (ranks[i]! < ranks[best]!) best = i;
      if (ranks[best] === NO_RANK) break;
      ids[at + best] = merged[best]!;
      count--;
      for (let i = best + 1; i < count; i++) {
        ids[at + i] = ids[at + i + 1]!;
        ranks[i] = ranks[i + 1]!;
        merged[i] = merged[i + 1]!;
      }
      if (best > 0) this.rank(ids, at, best - 1);
      if (best + 1 < count) this.rank(ids, at, best);
    }
    return at + count;
  }

  /** Looks up the pair of the tokens i and i + 1. */
  private rank(ids: Uint32Array, at: number, i: number): void {
    const slot = this.pairs.find(ids[at + i]!, ids[at + i + 1]!);
    this.ranks[i] = slot === NONE ? NO_RANK : this.pairs.rankAt(slot);
    this.merged[i] = slot === NONE ? 0 : this.pairs.idAt(slot);
  }

  private mergeLong(ids: Uint32Array, at: number, length: number): number {
    const { pairs } = this;
    // Tokens are a doubly linked list over the offsets where they begin; those merged away have next = NONE.
    const next = Int32Array.from({ length }, (_, offset) => offset + 1);
    const previous = Int32Array.from({ length }, (_, offset) => offset - 1);
    const findPair = (offset: number) => (next[offset]! < length ? pairs.find(ids[at + offset]!, ids[at + next[offset]!]!) : NONE);

    // Keys order by rank, then by offset: the leftmost pair of the lowest rank comes first.
    const heap = new MinHeap();
    const push = (offset: number) => {
      const slot = findPair(offset);
      if (slot !== NONE) heap.push(pairs.rankAt(slot) * OFFSETS + offset);
    };
    for (let offset = 0; offset < length - 1; offset++) push(offset);

    for (let key = heap.pop(); key !== undefined; key = heap.pop()) {
      const offset = key % OFFSETS;
      if (next[offset] === NONE) continue;
      const slot = findPair(offset);
      if (slot === NONE || pairs.rankAt(slot) !== Math.floor(key / OFFSETS)) continue;
      const right = next[offset]!;
      const after = next[right]!;
      ids[at + offset] = pairs.idAt(slot);
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
