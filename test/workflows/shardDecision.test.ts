// The truth table of the decision on parked shards, in full, and what must hold for any counts.
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decide, maySkip, type ShardCounts, type ShardDecision } from '../../workflows/shardDecision.ts';

const base: ShardCounts = { total: 100, completed: 100, failed: 0, skipped: 0, policy: 'park', minShardFraction: 0.9, skippable: true };

describe('decide', () => {
  const rows: [what: string, change: Partial<ShardCounts>, decision: ShardDecision][] = [
    ['all done', {}, 'finish'],
    ['nothing to do', { total: 0, completed: 0 }, 'finish'],
    ['nothing tried', { completed: 0 }, 'run'],
    ['some not tried', { completed: 60 }, 'run'],
    ['some not tried, some parked: the others first', { completed: 60, failed: 1 }, 'run'],
    ['only parked left, park', { completed: 99, failed: 1 }, 'wait'],
    ['all parked, park', { completed: 0, failed: 100 }, 'wait'],
    ['only parked left, fail', { completed: 99, failed: 1, policy: 'fail' }, 'fail'],
    ['some not tried, one parked, fail: at once', { completed: 1, failed: 1, policy: 'fail' }, 'fail'],
    ['some not tried, none parked, fail', { completed: 1, policy: 'fail' }, 'run'],
    ['all done, fail', { policy: 'fail' }, 'finish'],
    ['few parked, skip', { completed: 95, failed: 5, policy: 'skip' }, 'skip'],
    ['exactly as many as may be left out, skip', { completed: 90, failed: 10, policy: 'skip' }, 'skip'],
    ['one too many to leave out, skip', { completed: 89, failed: 11, policy: 'skip' }, 'wait'],
    ['too many with those left out before, skip', { completed: 89, failed: 5, skipped: 6, policy: 'skip' }, 'wait'],
    ['some not tried, skip: the others first', { completed: 60, failed: 5, policy: 'skip' }, 'run'],
    ['parked but indispensable, skip', { completed: 99, failed: 1, policy: 'skip', skippable: false }, 'wait'],
    ['the rest left out', { completed: 95, skipped: 5 }, 'finish'],
  ];
  it.each(rows)('%s', (_what, change, decision) => {
    expect(decide({ ...base, ...change })).toBe(decision);
  });

  const counts = fc.record({
    completed: fc.nat(50),
    failed: fc.nat(50),
    skipped: fc.nat(50),
    untried: fc.nat(50),
    policy: fc.constantFrom('park', 'fail', 'skip'),
    minShardFraction: fc.double({ min: 0, max: 1, noNaN: true }),
    skippable: fc.boolean(),
  }).map(({ untried, ...rest }) => ({ ...rest, total: rest.completed + rest.failed + rest.skipped + untried }));

  it('never finishes with work untried or parked, and never leaves out more than allowed', () => {
    fc.assert(
      fc.property(counts, (some) => {
        const decision = decide(some);
        if (decision === 'finish') expect(some.completed + some.skipped).toBe(some.total);
        if (decision === 'skip') expect(some.completed).toBeGreaterThanOrEqual(some.minShardFraction * some.total);
        if (decision === 'wait' || decision === 'skip') expect(some.failed).toBeGreaterThan(0);
        if (maySkip(some, some.failed)) expect(some.total - some.skipped - some.failed).toBeGreaterThanOrEqual(some.minShardFraction * some.total);
      }),
    );
  });
});
