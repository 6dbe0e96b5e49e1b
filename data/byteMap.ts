// From byte strings to whole numbers, in flat arrays: the tokenizer asks once a word, and a Map would need a string
// made for every question. Its size is fixed; who fills it decides what to do when it is full.

/** What `get` answers for a key that is not there. */
export const ABSENT = -(2 ** 31);

/** An entry is its key's hash, where the key begins and ends, and the value. Entry 0 is nobody's: a free slot. */
const ENTRY = 4;
const KEY_START = 1;
const KEY_END = 2;
const VALUE = 3;

export class ByteMap {
  private readonly slots: Int32Array;
  private readonly entries: Int32Array;
  private readonly keys: Uint8Array;
  private used = ENTRY;
  private keyBytes = 0;

  /** Room for `maxEntries` keys of `maxKeyBytes` together. */
  constructor(maxEntries: number, maxKeyBytes: number) {
    this.slots = new Int32Array(2 ** Math.ceil(Math.log2(2 * Math.max(1, maxEntries))));
    this.entries = new Int32Array(ENTRY * (maxEntries + 1));
    this.keys = new Uint8Array(maxKeyBytes);
  }

  /** The value of the key bytes[start, end), or ABSENT. */
  get(bytes: Uint8Array, start: number, end: number): number {
    const { slots, entries } = this;
    const hash = hashOf(bytes, start, end);
    const mask = slots.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const entry = slots[slot]!;
      if (entry === 0) return ABSENT;
      if (entries[entry] === hash && this.hasKey(entry, bytes, start, end)) return entries[entry + VALUE]!;
    }
  }

  /** Adds a key that is not there yet. False, and nothing done, when there is no room for it. */
  add(bytes: Uint8Array, start: number, end: number, value: number): boolean {
    const { slots, entries, used, keyBytes } = this;
    if (used === entries.length || keyBytes + end - start > this.keys.length) return false;
    const hash = hashOf(bytes, start, end);
    const mask = slots.length - 1;
    let slot = hash & mask;
    while (slots[slot] !== 0) slot = (slot + 1) & mask;
    slots[slot] = used;
    entries[used] = hash;
    entries[used + KEY_START] = keyBytes;
    entries[used + KEY_END] = keyBytes + end - start;
    entries[used + VALUE] = value;
    for (let at = start; at < end; at++) this.keys[keyBytes + at - start] = bytes[at]!;
    this.keyBytes += end - start;
    this.used += ENTRY;
    return true;
  }

  clear(): void {
    this.slots.fill(0);
    this.used = ENTRY;
    this.keyBytes = 0;
  }

  private hasKey(entry: number, bytes: Uint8Array, start: number, end: number): boolean {
    const { entries, keys } = this;
    let key = entries[entry + KEY_START]!;
    if (entries[entry + KEY_END]! - key !== end - start) return false;
    for (let at = start; at < end; at++) if (keys[key++] !== bytes[at]) return false;
    return true;
  }
}

/** FNV-1a, its high bits folded into the low ones that choose the slot. */
function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ bytes[at]!, 0x01000193);
  return hash ^ (hash >>> 15);
}
