// Failures as a person reads them: what a worker threw, three wrappers deep, and what the system said.
import { writeFileSync } from 'node:fs';
import { WorkflowFailedError } from '@temporalio/client';
import { ActivityFailure, ApplicationFailure, CancelledFailure, ChildWorkflowFailure, RetryState } from '@temporalio/common';
import { describe, expect, it } from 'vitest';
import { toFailure } from '../../activities/failures.ts';
import { describeError, explain } from '../../cli/errors.ts';
import { UserError } from '../../schemas/errors.ts';

function wrapped(failure: Error): WorkflowFailedError {
  const activity = new ActivityFailure('Activity task failed', 'tokenizeShard', '1', RetryState.NON_RETRYABLE_FAILURE, 'worker', failure);
  const child = new ChildWorkflowFailure('default', { workflowId: 'saeflow/tokenize/1', runId: 'r' }, 'tokenize', RetryState.NON_RETRYABLE_FAILURE, activity);
  return new WorkflowFailedError('Workflow execution failed', child, RetryState.NON_RETRYABLE_FAILURE);
}

describe('explain', () => {
  it('unwraps what an activity threw to message and remedy', () => {
    const thrown = toFailure(new UserError('a.jsonl:7: not JSON', 'Fix line 7.'));
    expect(explain(wrapped(thrown))).toEqual({ message: 'a.jsonl:7: not JSON', remedy: 'Fix line 7.' });
  });

  it('gives a refused configuration in the workflow’s own words', () => {
    const refused = new WorkflowFailedError('Workflow execution failed', ApplicationFailure.nonRetryable('seed: not a number\nMend it.', 'InvalidConfiguration'), RetryState.NON_RETRYABLE_FAILURE);
    expect(explain(refused)).toEqual({ message: 'seed: not a number\nMend it.' });
  });

  it('says of other failures that finished work is kept', () => {
    expect(explain(wrapped(ApplicationFailure.nonRetryable('kernel crashed', 'ComputeProcessDied')))).toMatchObject({ message: 'kernel crashed', remedy: expect.stringContaining('kept') as string });
    expect(explain(new WorkflowFailedError('x', new CancelledFailure('cancelled'), RetryState.CANCEL_REQUESTED)).message).toBe('the run was cancelled');
  });

  it('tells what to do about a full disk', () => {
    let error: unknown;
    try {
      writeFileSync('/dev/full', 'x'); // The system's own ENOSPC.
    } catch (thrown) {
      error = thrown;
    }
    expect(explain(error)).toMatchObject({ message: expect.stringContaining('ENOSPC') as string, remedy: expect.stringContaining('free some space') as string });
  });
});

describe('describeError', () => {
  it('is message, then remedy, indented; a stack only for developers', () => {
    const error = new UserError('first line\nsecond', 'Do this.');
    expect(describeError(error)).toBe('saeflow: first line\n         second\n         Do this.');
    process.env['SAEFLOW_DEBUG'] = '1';
    try {
      expect(describeError(error)).toContain('errors.test.ts');
    } finally {
      delete process.env['SAEFLOW_DEBUG'];
    }
  });
});
