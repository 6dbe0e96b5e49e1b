// The window of shards that are on the disk at once, driven by trainings that take any time for anything: it never holds
// more than it may, never takes away what is being read, and never lets trainings wait for each other for ever.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SupplyRequest } from '../../schemas/supply.ts';
import { ShardWindow } from '../../workflows/shardWindow.ts';

const request = (consumer: string, position: number, need: number[], next: number[] = [], windowShards = 4): SupplyRequest => ({ consumer, token: `${consumer}/${position}`, position, need, next, windowShards, watchers: [], absent: false });

/** Lets the window do all it wants to at once. */
function settle(window: ShardWindow): SupplyRequest[] {
  const answered: SupplyRequest[] = [];
  for (;;) {
    answered.push(...window.answer());
    const dropped = window.drop();
    window.dropped(dropped);
    const shard = window.make();
    if (shard === undefined && dropped.length === 0) return answered;
    if (shard !== undefined) window.made(shard);
  }
}

describe('ShardWindow', () => {
  it('makes what is asked for, then ahead as far as there is room, and deletes what nobody asks for', () => {
    const window = new ShardWindow({ retention: 'consume', present: [9] });
    window.ask(request('a', 0, [0, 1], [2, 3, 4]));
    expect(settle(window).map(({ token }) => token)).toEqual(['a/0']);
    expect(window.occupied).toBe(4);
    window.ask(request('a', 2, [2, 3], [4, 5, 6]));
    expect(settle(window).map(({ token }) => token)).toEqual(['a/2']);
    window.leave('a');
    settle(window);
    expect(window.occupied).toBe(0);
  });

  it('keeps a faster training within the window of the slowest, and what that one is about to read', () => {
    const window = new ShardWindow({ retention: 'consume', present: [] });
    window.ask(request('slow', 0, [0, 1], [2, 3]));
    window.ask(request('fast', 0, [0, 1], [2, 3]));
    expect(settle(window)).toHaveLength(2);
    window.ask(request('fast', 2, [2, 3], [4, 5]));
    expect(settle(window)).toHaveLength(1);
    window.ask(request('fast', 4, [4, 5], [6, 7]));
    expect(settle(window)).toEqual([]);
    window.ask(request('slow', 2, [2, 3], [4, 5]));
    expect(settle(window).map(({ token }) => token)).toEqual(['slow/2', 'fast/4']);
  });

  it('deletes nothing where everything is to be kept', () => {
    const window = new ShardWindow({ retention: 'keep', present: [0] });
    for (let at = 1; at < 10; at++) {
      window.ask(request('a', at, [at], [], 2));
      expect(settle(window)).toHaveLength(1);
    }
    expect(window.occupied).toBe(10);
  });

  it('does not try a shard again that failed, before it is told to', () => {
    const window = new ShardWindow({ retention: 'consume', present: [] });
    window.ask(request('a', 0, [0, 1]));
    window.fail(window.make()!);
    window.made(window.make()!);
    expect([window.make(), window.answer(), window.busy]).toEqual([undefined, [], false]);
    window.retry([0]);
    expect(window.make()).toBe(0);
    window.made(0);
    expect(window.answer()).toHaveLength(1);
  });

  it('whatever the trainings, their pace and the order of things: within bounds, nothing read is deleted, all get to the end', () => {
    const training = fc.record({ mixShards: fc.integer({ min: 1, max: 4 }), start: fc.integer({ min: 0, max: 40 }), jumps: fc.array(fc.array(fc.integer({ min: 0, max: 19 }), { maxLength: 6 }), { maxLength: 3 }) });
    fc.assert(
      fc.property(fc.array(training, { minLength: 1, maxLength: 4 }), fc.integer({ min: 1, max: 9 }), fc.infiniteStream(fc.nat()), (trainings, windowShards, choices) => {
        const shards = 20;
        const window = new ShardWindow({ retention: 'consume', present: [] });
        const readingsOf = ({ mixShards, jumps }: (typeof trainings)[number], consumer: string): SupplyRequest[] => {
          const readings: SupplyRequest[] = [];
          for (let at = 0; at < shards; at += mixShards) {
            const range = (from: number) => Array.from({ length: Math.max(0, Math.min(mixShards, shards - from)) }, (_, index) => from + index);
            readings.push(request(consumer, at, range(at), [...range(at + mixShards), ...range(at + 2 * mixShards)], windowShards));
            const jump = jumps[at % 5];
            if (jump !== undefined && jump.length > 0) readings.push(request(consumer, at, [...new Set(jump)], range(at + mixShards), windowShards));
          }
          return readings;
        };
        const consumers = trainings.map((one, index) => ({ name: `t${index}`, start: one.start, readings: readingsOf(one, `t${index}`), at: -1, holds: undefined as number[] | undefined }));
        const largest = Math.max(...consumers.flatMap(({ readings }) => readings.map(({ need }) => need.length)));
        const making: number[] = [];
        const dropping: number[][] = [];
        const there = new Set<number>();
        for (let turn = 0; consumers.some(({ at, readings }) => at < readings.length); turn++) {
          expect(turn).toBeLessThan(20_000);
          for (const { consumer } of window.answer()) {
            const found = consumers.find(({ name }) => name === consumer)!;
            found.holds = found.readings[found.at]!.need;
          }
          const drop = window.drop();
          for (const shard of drop) {
            expect(consumers.some(({ holds }) => holds?.includes(shard))).toBe(false);
            there.delete(shard);
          }
          if (drop.length > 0) dropping.push(drop);
          for (let shard = window.make(); shard !== undefined; shard = window.make()) making.push(shard);
          expect(new Set([...there, ...making, ...dropping.flat()]).size).toBeLessThanOrEqual(Math.max(windowShards, largest));
          for (const { holds } of consumers) for (const shard of holds ?? []) expect(there.has(shard)).toBe(true);
          // something happens: a shard is made or deleted, or a training is through with a job
          const events: (() => void)[] = [
            ...making.map((shard) => () => {
              making.splice(making.indexOf(shard), 1);
              there.add(shard);
              window.made(shard);
            }),
            ...dropping.map((some) => () => {
              dropping.splice(dropping.indexOf(some), 1);
              window.dropped(some);
            }),
            ...consumers
              .filter(({ at, holds, start, readings }) => (at < 0 ? turn >= start : holds !== undefined && at < readings.length))
              .map((one) => () => {
                one.holds = undefined;
                const next = one.readings[++one.at];
                if (next === undefined) window.leave(one.name);
                else window.ask(next);
              }),
          ];
          if (events.length === 0) {
            // nothing may be left to wait for, but trainings that have not begun
            expect(consumers.some(({ at }) => at < 0)).toBe(true);
            continue;
          }
          events[choices.next().value! % events.length]!();
        }
      }),
      { numRuns: 500 },
    );
  });
});
