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

/** What an activity or child failed with, in a sentence that begins with the kind of failure where that has a name. */
export function describeFailure(error: unknown): string {
  if (error instanceof ActivityFailure || error instanceof ChildWorkflowFailure) return describeFailure(error.cause ?? error.message);
  if (error instanceof TimeoutFailure) return describeTimeout(error);
  if (!(error instanceof Error)) return String(error);
  const { type } = error as { type?: unknown };
  const named = error instanceof ApplicationFailure && typeof type === 'string' && !unnamed.has(type);
  return named ? `${type}: ${error.message}` : error.message;
}

/** Types that say nothing which the message does not. */
const unnamed: ReadonlySet<string> = new Set(['Error', 'UserError', 'ApplicationFailure']);

function describeTimeout({ timeoutType, cause }: TimeoutFailure): string {
  const before = cause === undefined ? '' : `; the attempt before: ${describeFailure(cause)}`;
  switch (timeoutType) {
    case 'HEARTBEAT':
      return `no heartbeat: the worker was lost, in every attempt${before}`;
    case 'START_TO_CLOSE':
      return `an attempt took longer than its startToCloseTimeout (workflows/policies.ts)${before}`;
    default:
      return `timed out (${timeoutType})${before}`;
  }
}

/** At most `chars` characters of `text`: its beginning, which names the file, and its end, which is the remedy. */
export function shortened(text: string, chars: number): string {
  if (text.length <= chars) return text;
  const end = Math.floor(chars / 3);
  return `${text.slice(0, chars - end - 3)} … ${text.slice(-end)}`;
}

/** True for an activity that ended because it was cancelled, also when its worker died before it could say so. */
export function wasCancelled(error: unknown): boolean {
  return isCancellation(error) || (error instanceof ActivityFailure && error.retryState === 'CANCEL_REQUESTED');
}
