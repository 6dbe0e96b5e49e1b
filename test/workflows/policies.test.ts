import { describe, expect, it } from 'vitest';
import { atPriority, policies, progressSignalsOf } from '../../workflows/policies.ts';

/** A signal and the workflow task that it wakes the pipeline for. */
const eventsOfSignal = 4;
/** Look-up, start and end of a stage's workflow, with what they wake the pipeline for. */
const eventsOfStage = 16;

describe('policies', () => {
  it.each([5, 20, 100, 203])('a pipeline of %i stages hears of progress often, and has less than 10,000 events', (stages) => {
    const signals = progressSignalsOf(stages);
    expect(signals).toBeGreaterThanOrEqual(5);
    expect(signals).toBeLessThanOrEqual(50);
    expect(stages * (signals * eventsOfSignal + eventsOfStage)).toBeLessThan(10_000);
  });

  it('keep their row of the table at any priority, and the summary where none is given', () => {
    expect(atPriority(policies.short, 2)).toEqual({ ...policies.short, priority: { priorityKey: 2 } });
    expect(atPriority(policies.short, 2, 'look up')).toMatchObject({ summary: 'look up' });
  });
});
