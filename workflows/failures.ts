// Failures as a person should read them: an unknown input named field by field, and what lies under Temporal's wrappers.
import { ActivityFailure, ApplicationFailure, ChildWorkflowFailure, isCancellation, TimeoutFailure } from '@temporalio/workflow';
import type { z } from 'zod';
import { UserError } from '../schemas/errors.ts';

/** Fails the workflow at once when `parse` throws what the sender of the input can mend. */
export function orInvalid<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    throw ApplicationFailure.nonRetryable(`${error.message}\n${error.remedy}`, 'InvalidConfiguration');
  }
}

/** As zod's parse; what it throws names every wrong field. */
export function parseMessage<Schema extends z.ZodType>(schema: Schema, value: unknown, what: string): z.infer<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const fields = parsed.error.issues.map((issue) => `${issue.path.join('.') || what}: ${issue.message}`);
  throw ApplicationFailure.nonRetryable(`${what} is malformed:\n${fields.join('\n')}`, 'InvalidConfiguration');
}

/** What an activity or child failed with, in a sentence. */
export function causeOf(error: unknown): string {
  if (error instanceof ActivityFailure || error instanceof ChildWorkflowFailure) return causeOf(error.cause ?? error.message);
  if (error instanceof TimeoutFailure) return error.timeoutType === 'HEARTBEAT' ? 'no heartbeat: the worker was lost' : `timed out (${error.timeoutType})`;
  return error instanceof Error ? error.message : String(error);
}

/** True for an activity that ended because it was cancelled, also when its worker died before it could say so. */
export function wasCancelled(error: unknown): boolean {
  return isCancellation(error) || (error instanceof ActivityFailure && error.retryState === 'CANCEL_REQUESTED');
}

