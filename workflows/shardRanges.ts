// Shard numbers in short, as people write them: `0-199,203`. A payload that lists 16,000 shards, even every second one,
// stays below 64 KiB this way, and can be read in Temporal's UI.

/** Shards [from, to). */
export type ShardRange = readonly [from: number, to: number];

/** Numbers in any order → ranges, ascending, none touching another. */
export function rangesOf(shards: Iterable<number>): ShardRange[] {
  const ranges: [number, number][] = [];
  for (const shard of [...shards].sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last !== undefined && shard <= last[1]) last[1] = Math.max(last[1], shard + 1);
    else ranges.push([shard, shard + 1]);
  }
  return ranges;
}

/** `[[0, 200], [203, 204]]` → `0-199,203`. */
export function formatShards(ranges: readonly ShardRange[]): string {
  return ranges.map(([from, to]) => (to - from === 1 ? String(from) : `${from}-${to - 1}`)).join(',');
}

/** The inverse of formatShards. Throws RangeError for anything else. */
export function parseShards(text: string): ShardRange[] {
  if (text === '') return [];
  return text.split(',').map((part) => {
    const [first = '', last = first, ...rest] = part.split('-');
    const range: ShardRange = [Number(first), Number(last) + 1];
    if (!/^\d+$/.test(first) || !/^\d+$/.test(last) || rest.length > 0 || range[0] >= range[1]) throw new RangeError(`not a list of shards such as 0-199,203: ${JSON.stringify(text.slice(0, 100))}`);
    return range;
  });
}

/** Shards in all. */
export function countOf(ranges: readonly ShardRange[]): number {
  return ranges.reduce((sum, [from, to]) => sum + to - from, 0);
}

/** The shards one by one. */
export function* shardsIn(ranges: readonly ShardRange[]): Generator<number> {
  for (const [from, to] of ranges) for (let shard = from; shard < to; shard++) yield shard;
}

/** Cuts ranges into `parts` lists of nearly equal numbers of shards, in order. */
export function deal(ranges: readonly ShardRange[], parts: number): ShardRange[][] {
  const total = countOf(ranges);
  const dealt: ShardRange[][] = Array.from({ length: parts }, () => []);
  let before = 0;
  for (const [from, to] of ranges) {
    for (let at = from; at < to; ) {
      const part = Math.floor((before * parts) / total);
      const end = Math.min(to, at + Math.ceil(((part + 1) * total) / parts) - before);
      dealt[part]!.push([at, end]);
      before += end - at;
      at = end;
    }
  }
  return dealt;
}

/** Shards that are still to be started, in order: 16,000 of them are two numbers. */
export class ShardQueue {
  private readonly pending: [number, number][];

  constructor(ranges: readonly ShardRange[]) {
    this.pending = ranges.filter(([from, to]) => from < to).map(([from, to]) => [from, to]);
  }

  get remaining(): number {
    return countOf(this.pending);
  }

  next(): number | undefined {
    const [range] = this.pending;
    if (range === undefined) return undefined;
    const shard = range[0]++;
    if (range[0] >= range[1]) this.pending.shift();
    return shard;
  }

  ranges(): ShardRange[] {
    return this.pending.map(([from, to]) => [from, to]);
  }
}
