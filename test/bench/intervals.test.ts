import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { coveredMs, gapsIn } from '../../bench/intervals.ts';

const interval = fc.tuple(fc.nat(100), fc.nat(30)).map(([fromMs, ms]) => ({ fromMs, toMs: fromMs + ms }));

describe('time that intervals cover', () => {
  it('counts what overlaps once, gaps not at all, and nothing outside the span', () => {
    const intervals = [{ fromMs: 40, toMs: 60 }, { fromMs: -5, toMs: 10 }, { fromMs: 50, toMs: 55 }, { fromMs: 95, toMs: 120 }, { fromMs: 200, toMs: 300 }];
    expect(coveredMs(intervals, { fromMs: 0, toMs: 100 })).toBe(10 + 20 + 5);
    expect(coveredMs([], { fromMs: 0, toMs: 100 })).toBe(0);
    expect(gapsIn(intervals, { fromMs: 0, toMs: 100 })).toEqual([{ fromMs: 10, toMs: 40 }, { fromMs: 60, toMs: 95 }]);
  });

  it('is what counting every millisecond gives', () => {
    fc.assert(
      fc.property(fc.array(interval, { maxLength: 12 }), interval, (intervals, span) => {
        let counted = 0;
        for (let ms = span.fromMs; ms < span.toMs; ms++) if (intervals.some(({ fromMs, toMs }) => fromMs <= ms && ms < toMs)) counted++;
        expect(coveredMs(intervals, span)).toBe(counted);
      }),
    );
  });
});
