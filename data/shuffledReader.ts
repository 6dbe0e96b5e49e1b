// The order in which an SAE sees its vectors: each once an epoch, a batch drawn from K shards at a time and so from
// thousands of documents. Batch i is a pure function of (seed, sizes of the shards, i): there is no cursor to save, and a
// run resumed anywhere reads on as if it had never stopped.
//
// Shards lie in random order, K of them side by side, each cut into blocks of rows. Blocks of the K shards take turns, and
// K blocks at a time are a pool, whose rows are permuted. Sampling put a shard's own rows in random order, so that a block
// is a random sample of its shard, and a pool one of K shards. Two pools are held: the one being read and the next.
import { UserError } from '../schemas/errors.ts';
import type { RowBlock } from './activationFile.ts';
import { assembler } from './batchAssembly.ts';
import { lastAtOrBelow, ReadingOrder, type Pool } from './readingOrder.ts';

/** A shard whose blocks can be had when they are needed. */
export interface ReadableShard {
  rows: number;
  /** The rows [block · blockRows, …) of the shard; not changed by the reader. `room`: that of a block read before. */
  read(block: number, room?: Uint8Array): Promise<RowBlock>;
}

export interface ShuffledReaderOptions {
  shards: readonly ReadableShard[];
  /** Rows of a block; a shard's last one may have fewer. */
  blockRows: number;
  /** Numbers in a row. */
  d: number;
  batchSize: number;
  /** Shards mixed at once, and blocks of a pool: memory holds twice as many blocks, in the shards' own dtype. */
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

interface HeldPool extends Pool {
  /** By `shard/block`. */
  loading: Map<string, Promise<RowBlock>>;
  /** In the order of `blocks`, once all are there. */
  loaded?: RowBlock[];
}

/**
 * Reads shuffled batches; see the top of this file.
 *
 * @throws RangeError when an option is not a whole number in its range.
 * @example
 * const reader = new ShuffledReader({ shards, blockRows: 4096, d: 512, batchSize: 8192, mixShards: 8, seed: 1, epochs: 1 });
 * for (let step = resumedStep; step < reader.batches; step++) train(await reader.read(step));
 */
export class ShuffledReader {
  readonly totalRows: number;
  /** Whole batches in all epochs together; rows left over at the very end are not read. */
  readonly batches: number;
  /** How long batches were held up by blocks that were not there yet, so far. */
  blocksWaitedMs = 0;
  private readonly options: ShuffledReaderOptions;
  private readonly order: ReadingOrder;
  private readonly pools = new Map<number, HeldPool>();
  /** Memory of blocks that are read; new memory for each would cost as much as reading it. */
  private spare: Uint8Array[] = [];
  private readonly assemble = assembler();
  private readonly documents: Int32Array;
  /** The batch that `documents` are of. */
  private readLast = -1;
  private turn: Promise<unknown> = Promise.resolve();

  constructor(options: ShuffledReaderOptions) {
    const { shards, blockRows, d, batchSize, mixShards, seed, epochs } = options;
    for (const [name, value] of Object.entries({ blockRows, d, batchSize, mixShards, epochs })) {
      if (!Number.isSafeInteger(value) || value < 1) throw new RangeError(`${name} ${value} is not a whole number from 1 up`);
    }
    for (const { rows } of shards) if (!Number.isSafeInteger(rows) || rows < 0) throw new RangeError(`a shard of ${rows} rows`);
    this.options = options;
    this.order = new ReadingOrder({ sizes: shards.map(({ rows }) => rows), blockRows, mixShards, seed });
    this.totalRows = this.order.totalRows;
    this.batches = Math.floor((this.totalRows * epochs) / batchSize);
    this.documents = new Int32Array(batchSize);
  }

  /**
   * The vectors of one batch times `scale`, [batchSize · d], in `target`, or an array of its own. Calls may come in any
   * order; in ascending order every row is loaded once an epoch, ahead of its use.
   *
   * @throws RangeError when there is no such batch; UserError when a shard is not what it should be.
   */
  read(batchIndex: number, scale = 1, target: Float32Array = new Float32Array(this.options.batchSize * this.options.d)): Promise<Float32Array> {
    // One at a time, so that no more than two pools are ever held.
    const batch = this.turn.then(() => this.readInTurn(batchIndex, scale, target));
    this.turn = batch.catch(() => undefined);
    return batch;
  }

  /** Where each of a batch's vectors comes from. Loads nothing. Throws RangeError when there is no such batch. */
  sources(batchIndex: number): VectorSource[] {
    return this.stretches(batchIndex).flatMap(({ pool: id, row, count }) => {
      const { blocks, starts, permutation } = this.pools.get(id) ?? this.order.pool(id);
      return Array.from(permutation.subarray(row, row + count), (place) => {
        const at = lastAtOrBelow(starts, place);
        const { shard, block } = blocks[at]!;
        return { shard, row: block * this.options.blockRows + place - starts[at]! };
      });
    });
  }

  /** How many documents the vectors of a batch are from; undefined when it is not the one read last. */
  distinctDocuments(batchIndex: number): number | undefined {
    return batchIndex === this.readLast ? new Set(this.documents).size : undefined;
  }

  private async readInTurn(batchIndex: number, scale: number, batch: Float32Array): Promise<Float32Array> {
    const { d } = this.options;
    this.readLast = -1;
    let filled = 0;
    for (const { pool: id, row, count } of this.stretches(batchIndex)) {
      const { loaded, starts, permutation } = await this.open(id);
      this.assemble(loaded, { starts, places: permutation.subarray(row, row + count), d, scale }, batch.subarray(filled * d, (filled + count) * d), this.documents.subarray(filled, filled + count));
      filled += count;
    }
    this.readLast = batchIndex;
    return batch;
  }

  /** The stretches of pools that make up a batch. */
  private stretches(batchIndex: number): { pool: number; row: number; count: number }[] {
    if (!Number.isSafeInteger(batchIndex) || batchIndex < 0 || batchIndex >= this.batches) throw new RangeError(`batch ${batchIndex}: there are ${this.batches}`);
    const { batchSize } = this.options;
    const stretches = [];
    for (let filled = 0; filled < batchSize; filled += stretches.at(-1)!.count) {
      const { pool, row, rows } = this.order.locate(batchIndex * batchSize + filled);
      stretches.push({ pool, row, count: Math.min(rows - row, batchSize - filled) });
    }
    return stretches;
  }

  /** The pool with all its blocks, held together with the next one and no other. */
  private async open(id: number): Promise<HeldPool & { loaded: RowBlock[] }> {
    const next = this.order.nextPool(id);
    for (const held of this.pools.keys()) if (held !== id && held !== next) this.drop(held);
    const pool = this.pools.get(id) ?? this.load(id);
    if (this.order.epochOf(next) < this.options.epochs && !this.pools.has(next)) this.load(next);
    const asked = performance.now();
    try {
      pool.loaded ??= await Promise.all(pool.blocks.map(({ shard, block }) => pool.loading.get(`${shard}/${block}`)!));
    } catch (error) {
      // So that the next attempt loads anew.
      this.pools.clear();
      throw error;
    } finally {
      this.blocksWaitedMs += performance.now() - asked;
    }
    return pool as HeldPool & { loaded: RowBlock[] };
  }

  private drop(id: number): void {
    const pool = this.pools.get(id)!;
    this.pools.delete(id);
    pool.loaded?.forEach(({ room }, index) => {
      const { shard, block } = pool.blocks[index]!;
      if (room !== undefined && this.spare.length < this.options.mixShards && this.held(`${shard}/${block}`) === undefined) this.spare.push(room);
    });
  }

  private load(id: number): HeldPool {
    const pool: HeldPool = { ...this.order.pool(id), loading: new Map() };
    for (const { shard, block } of pool.blocks) {
      const name = `${shard}/${block}`;
      const loading = this.held(name) ?? this.loadBlock(shard, block);
      // A failure is reported by the read that needs the block.
      loading.catch(() => undefined);
      pool.loading.set(name, loading);
    }
    this.pools.set(id, pool);
    return pool;
  }

  /** Where everything fits one pool, the next epoch's holds the same blocks. */
  private held(name: string): Promise<RowBlock> | undefined {
    for (const { loading } of this.pools.values()) {
      const found = loading.get(name);
      if (found) return found;
    }
    return undefined;
  }

  private async loadBlock(shard: number, block: number): Promise<RowBlock> {
    const { shards, d, blockRows } = this.options;
    const read = await shards[shard]!.read(block, this.spare.pop());
    const expected = Math.min(blockRows, shards[shard]!.rows - block * blockRows);
    if (read.vectors.length === expected * d && read.documents.length === expected) return read;
    throw new UserError(
      `activation shard ${shard} of the reader holds ${read.vectors.length} numbers of ${read.documents.length} documents in block ${block}, ${expected * d} of ${expected} were expected`,
      'Run `saeflow verify` on the activations: the shard is not the one its manifest names.',
    );
  }
}
