// Which row comes when in shuffled reading (shuffledReader.ts): pure arithmetic on the sizes of the shards and a seed.
import { RandomStream } from '../schemas/random.ts';

/** Blocks whose rows are permuted together: row p of the pool is row `permutation[p]` of its blocks laid end to end. */
export interface Pool {
  blocks: { shard: number; block: number }[];
  /** First row of each block within the pool, and the end. */
  starts: number[];
  permutation: Uint32Array;
}

/** How an epoch is laid out: its shards in random order, cut into groups of `mixShards`. */
interface Epoch {
  order: Uint32Array;
  /** First row of each group within the epoch, and the end. */
  rowStarts: number[];
  /** First pool of each group within the epoch, and the end. */
  poolStarts: number[];
}

/** The blocks of a group's shards, in the order of reading; every `mixShards` of them are a pool. */
interface Group {
  blocks: { shard: number; block: number; rows: number }[];
  /** First row of each pool within the group, and the end. */
  poolRows: number[];
}

/** Shards that are read together. */
export interface ShardGroup {
  shards: number[];
  /** Of the first of them among the shards of all epochs, in order of reading. */
  place: number;
  /** Rows [start, end) of the sequence of all epochs. */
  start: number;
  end: number;
}

export interface ReadingOrderOptions {
  /** Rows of each shard. */
  sizes: readonly number[];
  blockRows: number;
  mixShards: number;
  seed: number;
}

export class ReadingOrder {
  readonly totalRows: number;
  private readonly options: ReadingOrderOptions;
  /** Pools are numbered through all epochs, this many numbers to each. */
  private readonly poolNumbers: number;
  private readonly epochs = new Map<number, Epoch>();
  private readonly groups = new Map<string, Group>();

  constructor(options: ReadingOrderOptions) {
    this.options = options;
    this.totalRows = options.sizes.reduce((sum, rows) => sum + rows, 0);
    this.poolNumbers = Math.max(1, options.sizes.reduce((sum, rows) => sum + this.blocksOf(rows), 0));
  }

  /** The pool that holds a position of the sequence of all epochs, the row in that pool, and how many it has. */
  locate(position: number): { pool: number; row: number; rows: number } {
    const epochIndex = Math.floor(position / this.totalRows);
    const { rowStarts, poolStarts } = this.epoch(epochIndex);
    const rowInEpoch = position - epochIndex * this.totalRows;
    const groupIndex = lastAtOrBelow(rowStarts, rowInEpoch);
    const { poolRows } = this.group(epochIndex, groupIndex);
    const rowInGroup = rowInEpoch - rowStarts[groupIndex]!;
    const index = lastAtOrBelow(poolRows, rowInGroup);
    return { pool: epochIndex * this.poolNumbers + poolStarts[groupIndex]! + index, row: rowInGroup - poolRows[index]!, rows: poolRows[index + 1]! - poolRows[index]! };
  }

  /** The shards that lie side by side where a position of the sequence of all epochs is, and where they begin and end in it. */
  groupAt(position: number): ShardGroup {
    const { mixShards } = this.options;
    const epochIndex = Math.floor(position / this.totalRows);
    const { order, rowStarts } = this.epoch(epochIndex);
    const start = epochIndex * this.totalRows;
    const index = lastAtOrBelow(rowStarts, position - start);
    return {
      shards: [...order.subarray(index * mixShards, (index + 1) * mixShards)],
      place: epochIndex * order.length + index * mixShards,
      start: start + rowStarts[index]!,
      end: start + rowStarts[index + 1]!,
    };
  }

  /** The pool read after this one. */
  nextPool(pool: number): number {
    const epochIndex = this.epochOf(pool);
    return pool + 1 - epochIndex * this.poolNumbers < this.epoch(epochIndex).poolStarts.at(-1)! ? pool + 1 : (epochIndex + 1) * this.poolNumbers;
  }

  epochOf(pool: number): number {
    return Math.floor(pool / this.poolNumbers);
  }

  pool(pool: number): Pool {
    const { mixShards, seed } = this.options;
    const epochIndex = this.epochOf(pool);
    const { poolStarts } = this.epoch(epochIndex);
    const inEpoch = pool - epochIndex * this.poolNumbers;
    const groupIndex = lastAtOrBelow(poolStarts, inEpoch);
    const index = inEpoch - poolStarts[groupIndex]!;
    const blocks = this.group(epochIndex, groupIndex).blocks.slice(index * mixShards, (index + 1) * mixShards);
    const starts = startsOf(blocks.map(({ rows }) => rows));
    const permutation = new RandomStream(seed, 'shuffledReader', 'rows', epochIndex, inEpoch).permutation(starts.at(-1)!);
    return { blocks, starts, permutation };
  }

  private epoch(epochIndex: number): Epoch {
    const known = this.epochs.get(epochIndex);
    if (known) return known;
    const { sizes, mixShards, seed } = this.options;
    const order = new RandomStream(seed, 'shuffledReader', 'shards', epochIndex).permutation(sizes.length);
    const groups = Math.ceil(sizes.length / mixShards);
    const rows = new Array<number>(groups).fill(0);
    const blocks = new Array<number>(groups).fill(0);
    order.forEach((shard, place) => {
      rows[Math.floor(place / mixShards)]! += sizes[shard]!;
      blocks[Math.floor(place / mixShards)]! += this.blocksOf(sizes[shard]!);
    });
    const epoch = { order, rowStarts: startsOf(rows), poolStarts: startsOf(blocks.map((count) => Math.ceil(count / mixShards))) };
    for (const other of this.epochs.keys()) if (Math.abs(other - epochIndex) > 1) this.epochs.delete(other);
    this.epochs.set(epochIndex, epoch);
    return epoch;
  }

  private group(epochIndex: number, groupIndex: number): Group {
    const name = `${epochIndex}/${groupIndex}`;
    const known = this.groups.get(name);
    if (known) return known;
    const { mixShards } = this.options;
    const shards = this.epoch(epochIndex).order.subarray(groupIndex * mixShards, (groupIndex + 1) * mixShards);
    const turns = [...shards].flatMap((shard) => this.turnsOf(shard, epochIndex)).sort((a, b) => a.at - b.at);
    const blocks = turns.map(({ shard, block, rows }) => ({ shard, block, rows }));
    const pools = Array.from({ length: Math.ceil(blocks.length / mixShards) }, (_, pool) => blocks.slice(pool * mixShards, (pool + 1) * mixShards).reduce((sum, { rows }) => sum + rows, 0));
    const group = { blocks, poolRows: startsOf(pools) };
    // The one being read and the next; the one before, for a batch that begins in it.
    if (this.groups.size > 2) this.groups.delete(this.groups.keys().next().value!);
    this.groups.set(name, group);
    return group;
  }

  /** A shard's blocks in random order, at even distances over the group's reading: shards of any sizes end together. */
  private turnsOf(shard: number, epochIndex: number): { shard: number; block: number; rows: number; at: number }[] {
    const { sizes, blockRows, seed } = this.options;
    const count = this.blocksOf(sizes[shard]!);
    const stream = new RandomStream(seed, 'shuffledReader', 'blocks', epochIndex, shard);
    const first = stream.uniform();
    return Array.from(stream.permutation(count), (block, turn) => ({ shard, block, rows: Math.min(blockRows, sizes[shard]! - block * blockRows), at: (turn + first) / count }));
  }

  private blocksOf(rows: number): number {
    return Math.ceil(rows / this.options.blockRows);
  }
}

/** [3, 0, 2] → [0, 3, 3, 5]. */
export function startsOf(sizes: readonly number[]): number[] {
  const starts = [0];
  for (const size of sizes) starts.push(starts.at(-1)! + size);
  return starts;
}

/** Index of the last entry ≤ value in an ascending list that begins at or below it: of equal starts, the one that isn't empty. */
export function lastAtOrBelow(starts: readonly number[], value: number): number {
  let low = 0;
  let high = starts.length;
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if (starts[middle]! <= value) low = middle;
    else high = middle;
  }
  return low;
}
