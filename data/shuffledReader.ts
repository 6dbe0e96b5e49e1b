// The order in which an SAE sees its vectors: each once an epoch, a batch drawn from K shards at a time and so from
// thousands of documents. Batch i is a pure function of (seed, sizes of the shards, i): there is no cursor to save, and a
// run resumed anywhere reads on as if it had never stopped.
import { UserError } from '../schemas/errors.ts';
import { RandomStream } from '../schemas/random.ts';

/** A shard whose vectors can be had when they are needed. */
export interface LoadableShard {
  rows: number;
  /** [rows · d], row-major; not changed by the reader. */
  load(): Promise<Float32Array>;
}

export interface ShuffledReaderOptions {
  shards: readonly LoadableShard[];
  /** Numbers in a row. */
  d: number;
  batchSize: number;
  /** Shards mixed at once; memory holds up to twice as many. */
  mixShards: number;
  seed: number;
  epochs: number;
}

/** Where a vector of a batch is at rest. */
export interface VectorSource {
  /** Index in the options' `shards`. */
  shard: number;
  row: number;
}

/** How an epoch is laid out: its shards in random order, cut into groups of `mixShards`. */
interface Epoch {
  order: Uint32Array;
  /** First row of each group within the epoch, and the end. */
  groupStarts: number[];
}

/** Shards whose rows are mixed: row p of the group is row `order[p]` of its shards laid end to end. */
interface Group {
  order: Uint32Array;
  shards: number[];
  /** First row of each shard within the group, and the end. */
  shardStarts: number[];
  vectors: Map<number, Promise<Float32Array>>;
}

/**
 * Reads shuffled batches; see the top of this file.
 *
 * @throws RangeError when an option is not a whole number in its range.
 * @example
 * const reader = new ShuffledReader({ shards, d: 512, batchSize: 8192, mixShards: 8, seed: 1, epochs: 1 });
 * for (let step = resumedStep; step < reader.batches; step++) train(await reader.read(step));
 */
export class ShuffledReader {
  readonly totalRows: number;
  /** Whole batches in all epochs together; rows left over at the very end are not read. */
  readonly batches: number;
  private readonly options: ShuffledReaderOptions;
  private readonly groupsPerEpoch: number;
  private readonly epochs = new Map<number, Epoch>();
  private readonly groups = new Map<number, Group>();
  private turn: Promise<unknown> = Promise.resolve();

  constructor(options: ShuffledReaderOptions) {
    const { shards, d, batchSize, mixShards, epochs } = options;
    for (const [name, value] of Object.entries({ d, batchSize, mixShards, epochs })) {
      if (!Number.isSafeInteger(value) || value < 1) throw new RangeError(`${name} ${value} is not a whole number from 1 up`);
    }
    for (const { rows } of shards) if (!Number.isSafeInteger(rows) || rows < 0) throw new RangeError(`a shard of ${rows} rows`);
    this.options = options;
    this.totalRows = shards.reduce((sum, { rows }) => sum + rows, 0);
    this.batches = Math.floor((this.totalRows * epochs) / batchSize);
    this.groupsPerEpoch = Math.ceil(shards.length / mixShards);
  }

  /**
   * The vectors of one batch, [batchSize · d], in an array of its own. Calls may come in any order; in ascending order
   * every shard is loaded once an epoch, ahead of its use.
   *
   * @throws RangeError when there is no such batch; UserError when a shard is not of the size it should be.
   */
  read(batchIndex: number): Promise<Float32Array> {
    // One at a time, so that no more than two groups are ever held.
    const batch = this.turn.then(() => this.readInTurn(batchIndex));
    this.turn = batch.catch(() => undefined);
    return batch;
  }

  /** Where each of a batch's vectors comes from. Loads no shard. Throws RangeError when there is no such batch. */
  sources(batchIndex: number): VectorSource[] {
    return this.stretches(batchIndex).flatMap(({ groupId, row, count }) => {
      const { order, shards, shardStarts } = this.groups.get(groupId) ?? this.layOut(groupId);
      return Array.from(order.subarray(row, row + count), (place) => {
        const slot = lastAtOrBelow(shardStarts, place);
        return { shard: shards[slot]!, row: place - shardStarts[slot]! };
      });
    });
  }

  private async readInTurn(batchIndex: number): Promise<Float32Array> {
    const { batchSize, d } = this.options;
    const batch = new Float32Array(batchSize * d);
    let filled = 0;
    for (const { groupId, row, count } of this.stretches(batchIndex)) {
      await this.copyRows(groupId, row, count, batch.subarray(filled * d, (filled + count) * d));
      filled += count;
    }
    return batch;
  }

  /** The stretches of groups that make up a batch. */
  private stretches(batchIndex: number): { groupId: number; row: number; count: number }[] {
    if (!Number.isSafeInteger(batchIndex) || batchIndex < 0 || batchIndex >= this.batches) throw new RangeError(`batch ${batchIndex}: there are ${this.batches}`);
    const { batchSize } = this.options;
    const stretches = [];
    for (let filled = 0; filled < batchSize; filled += stretches.at(-1)!.count) {
      const { groupId, row, groupRows } = this.locate(batchIndex * batchSize + filled);
      stretches.push({ groupId, row, count: Math.min(groupRows - row, batchSize - filled) });
    }
    return stretches;
  }

  /** The group that holds a position of the sequence of all epochs, the row in that group, and how many it has. */
  private locate(position: number): { groupId: number; row: number; groupRows: number } {
    const epochIndex = Math.floor(position / this.totalRows);
    const row = position - epochIndex * this.totalRows;
    const { groupStarts } = this.epoch(epochIndex);
    const group = lastAtOrBelow(groupStarts, row);
    return { groupId: epochIndex * this.groupsPerEpoch + group, row: row - groupStarts[group]!, groupRows: groupStarts[group + 1]! - groupStarts[group]! };
  }

  private async copyRows(groupId: number, from: number, count: number, target: Float32Array): Promise<void> {
    const { d } = this.options;
    const { order, shards, shardStarts, vectors } = this.open(groupId);
    let arrays: Float32Array[];
    try {
      arrays = await Promise.all(shards.map((shard) => vectors.get(shard)!));
    } catch (error) {
      // So that the next attempt loads anew.
      this.groups.clear();
      throw error;
    }
    for (let i = 0; i < count; i++) {
      const row = order[from + i]!;
      const slot = lastAtOrBelow(shardStarts, row);
      const start = (row - shardStarts[slot]!) * d;
      target.set(arrays[slot]!.subarray(start, start + d), i * d);
    }
  }

  /** The group, held in memory together with the next one and no other. */
  private open(groupId: number): Group {
    for (const held of this.groups.keys()) if (held !== groupId && held !== groupId + 1) this.groups.delete(held);
    const group = this.groups.get(groupId) ?? this.load(groupId);
    const last = this.options.epochs * this.groupsPerEpoch - 1;
    if (groupId < last && !this.groups.has(groupId + 1)) this.load(groupId + 1);
    return group;
  }

  private load(groupId: number): Group {
    const group = { ...this.layOut(groupId), vectors: new Map<number, Promise<Float32Array>>() };
    const { shards, vectors } = group;
    // Shard after shard: each may need its file and its numbers at once while it is decoded.
    let before: Promise<unknown> = Promise.allSettled([...this.groups.values()].flatMap((held) => [...held.vectors.values()]));
    for (const shard of shards) {
      const loading = this.held(shard) ?? before.then(() => this.loadShard(shard));
      vectors.set(shard, loading);
      // A failure is reported by the read that needs the shard.
      before = loading.catch(() => undefined);
    }
    this.groups.set(groupId, group);
    return group;
  }

  private layOut(groupId: number): Omit<Group, 'vectors'> {
    const { mixShards, seed } = this.options;
    const epochIndex = Math.floor(groupId / this.groupsPerEpoch);
    const indexInEpoch = groupId % this.groupsPerEpoch;
    const shards = [...this.epoch(epochIndex).order.subarray(indexInEpoch * mixShards, (indexInEpoch + 1) * mixShards)];
    const shardStarts = startsOf(shards.map((shard) => this.options.shards[shard]!.rows));
    const order = new RandomStream(seed, 'shuffledReader', 'rows', epochIndex, indexInEpoch).permutation(shardStarts.at(-1)!);
    return { order, shards, shardStarts };
  }

  /** At an epoch's end the next group may hold the same shards. */
  private held(shard: number): Promise<Float32Array> | undefined {
    for (const { vectors } of this.groups.values()) {
      const loaded = vectors.get(shard);
      if (loaded) return loaded;
    }
    return undefined;
  }

  private async loadShard(shard: number): Promise<Float32Array> {
    const { shards, d } = this.options;
    const vectors = await shards[shard]!.load();
    const expected = shards[shard]!.rows * d;
    if (vectors.length === expected) return vectors;
    throw new UserError(`activation shard ${shard} of the reader holds ${vectors.length} numbers, ${expected} were expected`, 'Run `saeflow verify` on the activations: the shard is not the one its manifest names.');
  }

  private epoch(epochIndex: number): Epoch {
    const known = this.epochs.get(epochIndex);
    if (known) return known;
    const { shards, mixShards, seed } = this.options;
    const order = new RandomStream(seed, 'shuffledReader', 'shards', epochIndex).permutation(shards.length);
    const groupRows = new Array<number>(this.groupsPerEpoch).fill(0);
    order.forEach((shard, place) => (groupRows[Math.floor(place / mixShards)]! += shards[shard]!.rows));
    const epoch = { order, groupStarts: startsOf(groupRows) };
    for (const other of this.epochs.keys()) if (Math.abs(other - epochIndex) > 1) this.epochs.delete(other);
    this.epochs.set(epochIndex, epoch);
    return epoch;
  }
}

/** [3, 0, 2] → [0, 3, 3, 5]. */
function startsOf(sizes: number[]): number[] {
  const starts = [0];
  for (const size of sizes) starts.push(starts.at(-1)! + size);
  return starts;
}

/** Index of the last entry ≤ value in an ascending list that begins at or below it: of equal starts, the one that isn't empty. */
function lastAtOrBelow(starts: number[], value: number): number {
  let low = 0;
  let high = starts.length;
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if (starts[middle]! <= value) low = middle;
    else high = middle;
  }
  return low;
}
