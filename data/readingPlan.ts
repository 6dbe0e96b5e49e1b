// Which shards a job of an SAE's training reads: pure arithmetic on what the shuffled reader's order is a function of, so
// that shards can be made shortly before they are read and deleted after (activations.retention consume). A job reads the
// shards of one group (ReadingOrder), and of the group before where a batch lies in both.
import type { Reading } from '../schemas/supply.ts';
import { ReadingOrder, type ShardGroup } from './readingOrder.ts';

export interface ReadingPlanOptions {
  /** Rows of each shard. */
  sizes: readonly number[];
  blockRows: number;
  mixShards: number;
  seed: number;
  batchSize: number;
  epochs: number;
  /** Vectors that the initial weights are made from. */
  initVectors: number;
  /** Vectors that a resampling looks at, and the steps of resamplings. */
  candidates: number;
  resamplings: readonly number[];
}

export class ReadingPlan {
  readonly batches: number;
  private readonly options: ReadingPlanOptions;
  private readonly order: ReadingOrder;

  constructor(options: ReadingPlanOptions) {
    this.options = options;
    this.order = new ReadingOrder(options);
    this.batches = Math.floor((this.order.totalRows * options.epochs) / options.batchSize);
  }

  /** Of the initial weights. */
  initialise(): Reading {
    const { initVectors, batchSize } = this.options;
    return this.reading(0, 0, this.shardsOf(0, Math.min(Math.ceil(initVectors / batchSize), this.batches)), this.order.groupAt(0).start);
  }

  /** Of the steps from `from` on, to the end of a group or to `limit`, whichever is first. */
  segment(from: number, limit: number): Reading {
    const { batchSize } = this.options;
    const groups = this.groupsOf(from, from + 1);
    const { end } = groups.at(-1)!;
    return this.reading(from, Math.min(limit, Math.max(from + 1, Math.floor(end / batchSize))), groups.flatMap(({ shards }) => shards), end);
  }

  /** Of a resampling at a step: its candidates are the batches that come next, and after the last one the first again. */
  resample(step: number): Reading {
    const { candidates, batchSize } = this.options;
    const count = Math.min(Math.ceil(candidates / batchSize), this.batches);
    const end = Math.min(step + count, this.batches);
    const shards = this.shardsOf(step, end);
    const wrapped = step + count - end;
    return this.reading(step, step, wrapped === 0 ? shards : [...shards, ...this.shardsOf(0, wrapped)], this.groupsOf(step, step + 1)[0]!.end);
  }

  /** All readings of a training in which nothing goes wrong, in order. */
  *all(milestones: readonly number[]): Generator<Reading> {
    yield this.initialise();
    let from = 0;
    for (const milestone of milestones) {
      while (from < milestone) {
        const reading = this.segment(from, milestone);
        yield reading;
        from = reading.stopAt;
      }
      if (this.options.resamplings.includes(milestone)) yield this.resample(milestone);
    }
  }

  /** Most shards that one job reads. */
  largestNeed(milestones: readonly number[]): number {
    let largest = 0;
    for (const { need } of this.all(milestones)) largest = Math.max(largest, need.length);
    return largest;
  }

  /** `after`: the row of the sequence from which on shards are read next. */
  private reading(from: number, stopAt: number, need: number[], after: number): Reading {
    return { from, stopAt, position: this.groupsOf(from, from + 1)[0]!.place, need: [...new Set(need)], next: this.shardsAfter(after) };
  }

  private shardsOf(from: number, to: number): number[] {
    return this.groupsOf(from, to).flatMap(({ shards }) => shards);
  }

  /** Groups that the batches [from, to) have rows of. */
  private groupsOf(from: number, to: number): ShardGroup[] {
    const { batchSize } = this.options;
    const groups: ShardGroup[] = [];
    for (let row = from * batchSize; row < to * batchSize; row = groups.at(-1)!.end) groups.push(this.order.groupAt(row));
    return groups;
  }

  /** The two groups read from a row of the sequence on: what may be made ahead. */
  private shardsAfter(row: number): number[] {
    const lastRow = this.batches * this.options.batchSize;
    const shards = new Set<number>();
    for (let at = row, groups = 0; at < lastRow && groups < groupsAhead; groups++) {
      const group = this.order.groupAt(at);
      for (const shard of group.shards) shards.add(shard);
      at = group.end;
    }
    return [...shards];
  }
}

const groupsAhead = 2;
