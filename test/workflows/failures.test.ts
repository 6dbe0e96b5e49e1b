// What a person reads of a failure: its kind, and of a long message the ends that matter.
import { ActivityFailure, ApplicationFailure, TimeoutFailure } from '@temporalio/common';
import { describe, expect, it } from 'vitest';
import { describeFailure, shortened } from '../../workflows/failures.ts';

const inActivity = (cause: Error) => new ActivityFailure('Activity task failed', 'sampleShard', '1', 'MAXIMUM_ATTEMPTS_REACHED', 'worker', cause);
const failure = (type: string, message: string) => inActivity(ApplicationFailure.create({ type, message }));

describe('describeFailure', () => {
  it('begins with the kind of failure, unless the message says all', () => {
    expect(describeFailure(failure('DiskFull', '/store: no room'))).toBe('DiskFull: /store: no room');
    expect(describeFailure(failure('UserError', 'corpus.jsonl:7: not JSON'))).toBe('corpus.jsonl:7: not JSON');
    expect(describeFailure(failure('Error', 'bad'))).toBe('bad');
  });

  it('says what a time-out means, and what failed before it', () => {
    expect(describeFailure(inActivity(new TimeoutFailure('activity Heartbeat timeout', undefined, 'HEARTBEAT')))).toBe('no heartbeat: the worker was lost, in every attempt');
    const before = ApplicationFailure.create({ type: 'ComputeProcessDied', message: 'was ended by SIGSEGV' });
    const timedOut = new TimeoutFailure('activity StartToClose timeout', undefined, 'START_TO_CLOSE');
    Object.assign(timedOut, { cause: before });
    expect(describeFailure(inActivity(timedOut))).toBe('an attempt took longer than its startToCloseTimeout (workflows/policies.ts); the attempt before: ComputeProcessDied: was ended by SIGSEGV');
  });
});

describe('shortened', () => {
  it('leaves what fits as it is', () => {
    expect(shortened('short', 5)).toBe('short');
  });

  it('keeps the beginning, which names the file, and the end, which is the remedy', () => {
    const text = `/store/tokens.bin is corrupted${' .'.repeat(500)} Put the file back.`;
    const short = shortened(text, 90);
    expect(short.length).toBe(90);
    expect(short).toMatch(/^\/store\/tokens\.bin is corrupted .* … .* Put the file back\.$/);
  });
});
