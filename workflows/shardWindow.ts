// Which activation shards are made, held and deleted while SAEs read them: never more at once than the window, or than the
// one job needs that needs most. No Temporal here: who makes and deletes them, and how long that takes, is for others.
//
// Trainings ask for all that their next job reads, and hold it from the answer to the next request. The slowest is served
// first; another one goes ahead where there is room. What nobody asks for is deleted; what a faster training has read stays
// while a slower one is about to. As every training gives back what it held when it asks anew, and then the slowest can
// have everything, no two wait for each other.
import type { ShardsThere, SupplyRequest } from '../schemas/supply.ts';

type State = 'waiting' | 'holding' | 'resting';

interface Consumer {
  request: SupplyRequest;
  state: State;
}

export class ShardWindow {
  private readonly retention: ShardsThere['retention'];
  private readonly present: Set<number>;
  private readonly making = new Set<number>();
  private readonly dropping = new Set<number>();
  private readonly failed = new Set<number>();
  private readonly consumers = new Map<string, Consumer>();

  constructor({ retention, present }: Pick<ShardsThere, 'retention' | 'present'>) {
    this.retention = retention;
    this.present = new Set(present);
  }

  get requests(): SupplyRequest[] {
    return [...this.consumers.values()].map(({ request }) => request);
  }

  /** Shards that are on the disk, or partly so. */
  get occupied(): number {
    return new Set([...this.present, ...this.making, ...this.dropping]).size;
  }

  /** True while somebody works on shards. */
  get busy(): boolean {
    return this.making.size + this.dropping.size > 0;
  }

  /** True while trainings wait and nobody works on what they wait for. */
  get blocked(): boolean {
    return !this.busy && this.waiting().length > 0;
  }

  ask(request: SupplyRequest): void {
    this.consumers.set(request.consumer, { request, state: request.need.length === 0 ? 'resting' : 'waiting' });
  }

  leave(consumer: string): void {
    this.consumers.delete(consumer);
  }

  /** Takes note of what is there by a look at the store. */
  found(present: readonly number[]): void {
    this.present.clear();
    for (const shard of present) if (!this.making.has(shard) && !this.dropping.has(shard)) this.present.add(shard);
  }

  /** Requests that are met from now on. */
  answer(): SupplyRequest[] {
    const met = this.waiting().filter(({ request }) => request.need.every((shard) => this.present.has(shard)));
    for (const consumer of met) consumer.state = 'holding';
    return met.map(({ request }) => request);
  }

  /** The shard to make next, which counts from now on; undefined while there is none, or no room. */
  make(): number | undefined {
    const shard = this.shardToMake();
    if (shard !== undefined) this.making.add(shard);
    return shard;
  }

  made(shard: number): void {
    this.making.delete(shard);
    this.present.add(shard);
  }

  /** It is not tried again before `retry`. */
  fail(shard: number): void {
    this.making.delete(shard);
    this.failed.add(shard);
  }

  retry(shards: readonly number[]): void {
    for (const shard of shards) this.failed.delete(shard);
  }

  /** Shards to delete; nobody may read them from now on. */
  drop(): number[] {
    const shards = this.retention === 'keep' ? [] : this.shardsToDrop();
    for (const shard of shards) {
      this.present.delete(shard);
      this.dropping.add(shard);
    }
    return shards;
  }

  dropped(shards: readonly number[]): void {
    for (const shard of shards) this.dropping.delete(shard);
  }

  private shardToMake(): number | undefined {
    const [first] = this.waiting();
    for (const { request } of this.waiting()) {
      const shard = request.need.find((one) => this.canBeMade(one));
      if (shard === undefined) continue;
      if (this.hasRoom() || (request === first?.request && this.mayExceed(request))) return shard;
      // The others would take the room that the slowest waits for.
      return undefined;
    }
    if (!this.hasRoom()) return undefined;
    return this.active().flatMap(({ request }) => request.next).find((shard) => this.canBeMade(shard));
  }

  private shardsToDrop(): number[] {
    const wanted = new Set(this.requests.flatMap(({ need, next }) => [...need, ...next]));
    const useless = [...this.present].filter((shard) => !wanted.has(shard));
    const [first] = this.waiting();
    if (useless.length > 0 || first === undefined) return useless;
    const missing = first.request.need.filter((shard) => !this.present.has(shard) && !this.making.has(shard)).length;
    const short = missing - Math.max(0, this.windowShards() - this.occupied) - this.dropping.size;
    if (short <= 0) return [];
    // Furthest from being read by the slowest first.
    const slower = this.active().slice(0, this.active().indexOf(first)).flatMap(({ request }) => request.next);
    const held = new Set([...this.held(), ...slower, ...first.request.need]);
    const rank = (shard: number) => (first.request.next.includes(shard) ? first.request.next.indexOf(shard) : Infinity);
    return [...this.present].filter((shard) => !held.has(shard)).sort((a, b) => rank(b) - rank(a) || b - a).slice(0, short);
  }

  private canBeMade(shard: number): boolean {
    return !this.present.has(shard) && !this.making.has(shard) && !this.dropping.has(shard) && !this.failed.has(shard);
  }

  private hasRoom(): boolean {
    return this.retention === 'keep' || this.occupied < this.windowShards();
  }

  /** A job that needs more than the window gets it when nothing else is there. */
  private mayExceed({ need }: SupplyRequest): boolean {
    const own = new Set(need);
    return this.dropping.size === 0 && [...this.present, ...this.making].every((shard) => own.has(shard));
  }

  private windowShards(): number {
    return this.requests.reduce((most, { windowShards }) => Math.max(most, windowShards), 1);
  }

  private held(): number[] {
    return [...this.consumers.values()].flatMap(({ request, state }) => (state === 'holding' ? request.need : []));
  }

  private waiting(): Consumer[] {
    return this.active().filter(({ state }) => state === 'waiting');
  }

  /** The slowest first. */
  private active(): Consumer[] {
    const active = [...this.consumers.values()].filter(({ state }) => state !== 'resting');
    return active.sort((a, b) => a.request.position - b.request.position || (a.request.consumer < b.request.consumer ? -1 : 1));
  }
}
