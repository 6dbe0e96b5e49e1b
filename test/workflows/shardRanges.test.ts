// Lists of shards in short: nothing is lost in them, and the longest there can be fits a payload.
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { countOf, deal, formatShards, parseShards, rangesOf, shardsIn, ShardQueue } from '../../workflows/shardRanges.ts';

const shards = fc.uniqueArray(fc.nat(500));
const ascending = (numbers: readonly number[]) => [...numbers].sort((a, b) => a - b);

describe('lists of shards', () => {
  it('read as people write them', () => {
    expect(formatShards(rangesOf([203, 1, 2, 0, 7]))).toBe('0-2,7,203');
    expect(parseShards('0-2,7')).toEqual([[0, 3], [7, 8]]);
    expect(formatShards([])).toBe('');
    expect(parseShards('')).toEqual([]);
  });

  it.each(['a', '1-', '-3', '5-4', '1,,2', '1-2-3', '1.5'])('refuse %j', (text) => {
    expect(() => parseShards(text)).toThrow(/not a list of shards/);
  });

  it('hold what was put in, once, in order', () => {
    fc.assert(
      fc.property(shards, (numbers) => {
        const ranges = parseShards(formatShards(rangesOf(numbers)));
        expect([...shardsIn(ranges)]).toEqual(ascending(numbers));
        expect(countOf(ranges)).toBe(numbers.length);
        const queue = new ShardQueue(ranges);
        expect(queue.remaining).toBe(numbers.length);
        const taken = Array.from({ length: Math.floor(numbers.length / 2) }, () => queue.next()!);
        expect([...taken, ...shardsIn(queue.ranges())]).toEqual(ascending(numbers));
      }),
    );
  });

  it('are dealt completely and evenly', () => {
    fc.assert(
      fc.property(shards, fc.integer({ min: 1, max: 32 }), (numbers, parts) => {
        fc.pre(numbers.length > 0);
        const dealt = deal(rangesOf(numbers), parts);
        expect(dealt.flatMap((part) => [...shardsIn(part)])).toEqual(ascending(numbers));
        const sizes = dealt.map(countOf);
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
      }),
    );
  });

  it('of every second one of 16,000 leave room in 64 KiB for ten long errors', () => {
    const everySecond = rangesOf(Array.from({ length: 8_000 }, (_, index) => 2 * index));
    expect(formatShards(everySecond).length + 10 * 1_000).toBeLessThan(64 * 2 ** 10);
  });
});
