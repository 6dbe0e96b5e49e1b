// Shards that used up their attempts, and the Updates by which a person says what becomes of them.
import { ApplicationFailure, condition, setHandler } from '@temporalio/workflow';
import { shardSelection, type FailedShard, type ShardSelection } from '../schemas/progress.ts';
import { describeParked } from './details.ts';
import { parseMessage } from './failures.ts';
import { abortUpdate, descriptions, retryFailedShardsUpdate, skipFailedShardsUpdate } from './messages.ts';
import type { Parked } from './partitionTypes.ts';
import { maySkip, type ShardCounts } from './shardDecision.ts';
import { formatShards, parseShards, rangesOf, shardsIn } from './shardRanges.ts';
import type { StageControl } from './stageControl.ts';

/** What a person decided. */
export type Answer = { action: 'retry' | 'skip'; shards: number[] } | { action: 'abort'; reason: string };

const listedChars = 300;

export class ParkedShards {
  private readonly shards = new Set<number>();
  /** Why they failed, of those whose partition said it in words. */
  private readonly errors = new Map<number, string>();
  /** Set while a person is asked. */
  private question: ShardCounts | undefined;
  private answer: Answer | undefined;

  /** Sets the update handlers: from then on an update is refused with a reason unless the stage is blocked. */
  constructor() {
    setHandler(retryFailedShardsUpdate, (selection?: ShardSelection) => this.decide('retry', selection), { validator: (selection?: ShardSelection) => void this.select(selection), ...descriptions.retryFailedShards });
    setHandler(skipFailedShardsUpdate, (selection?: ShardSelection) => this.decide('skip', selection), { validator: (selection?: ShardSelection) => this.refuseSkip(selection), ...descriptions.skipFailedShards });
    setHandler<void, [reason: string], typeof abortUpdate>(abortUpdate, (reason?: unknown) => void (this.answer = { action: 'abort', reason: typeof reason === 'string' ? reason : 'no reason given' }), { validator: () => void this.asked(), ...descriptions.abort });
  }

  get size(): number {
    return this.shards.size;
  }

  add({ shards, errors }: Parked): void {
    for (const shard of shardsIn(parseShards(shards))) this.shards.add(shard);
    for (const { shard, error } of errors) this.errors.set(shard, error);
  }

  /** Removes shards, all by default, and returns their numbers. */
  take(shards: readonly number[] = this.numbers()): number[] {
    return shards.filter((shard) => {
      this.errors.delete(shard);
      return this.shards.delete(shard);
    });
  }

  /** Failures that are known in words, in the order of the shards. */
  explained(): FailedShard[] {
    return [...this.errors].map(([shard, error]) => ({ shard, error })).sort((a, b) => a.shard - b.shard);
  }

  /** Blocks the stage, visibly, until a person has decided. */
  async askPerson(control: StageControl, counts: ShardCounts): Promise<Answer> {
    this.question = counts;
    control.note = describeParked(this.size, this.listed(), this.explained(), counts.skippable);
    control.report({ state: 'blocked', failedShards: this.size });
    await condition(() => this.answer !== undefined);
    const answer = this.answer!;
    this.answer = undefined;
    this.question = undefined;
    control.note = '';
    return answer;
  }

  private decide(action: 'retry' | 'skip', selection: unknown): number[] {
    const shards = this.select(selection);
    this.answer = { action, shards };
    return shards;
  }

  /** Throws unless the stage is blocked and nobody has decided yet. */
  private asked(): ShardCounts {
    if (this.question === undefined || this.answer !== undefined) {
      throw refusal('NotBlocked', 'this stage does not wait for a decision: shards are parked only after all their attempts, and it blocks when nothing else is left to run');
    }
    return this.question;
  }

  private select(selection: unknown): number[] {
    this.asked();
    const { shards = this.numbers() } = parseMessage(shardSelection, selection ?? {}, 'the selection of shards');
    const unknown = shards.filter((shard) => !this.shards.has(shard));
    if (unknown.length > 0) throw refusal('NotParked', `not parked: shard ${unknown.slice(0, 50).join(', ')}; parked are ${this.listed()}`);
    return [...new Set(shards)].sort((a, b) => a - b);
  }

  private numbers(): number[] {
    return [...this.shards].sort((a, b) => a - b);
  }

  /** `3, 17-20`, cut where it grows long. */
  private listed(): string {
    const text = formatShards(rangesOf(this.shards)).replaceAll(',', ', ');
    return text.length <= listedChars ? text : `${text.slice(0, text.lastIndexOf(',', listedChars))}, …`;
  }

  private refuseSkip(selection: unknown): void {
    const counts = this.asked();
    const shards = this.select(selection);
    if (!counts.skippable) throw refusal('SkipRefused', 'the artifact is of no use without these: retry them or abort');
    if (maySkip(counts, shards.length)) return;
    const left = counts.total - counts.skipped - shards.length;
    throw refusal('SkipRefused', `skipping ${shards.length} shards would leave ${left} of ${counts.total}, less than execution.minShardFraction ${counts.minShardFraction}: retry them, skip fewer, or start again with a lower minShardFraction`);
  }
}

function refusal(type: string, message: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(message, type);
}
