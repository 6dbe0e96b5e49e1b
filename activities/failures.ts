// Errors as Temporal should treat them: what a person must mend is not retried, what may pass is, and each is named.
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { z } from 'zod';
import { UserError } from '../schemas/errors.ts';

const diskRetryDelay = '30 seconds';

/**
 * The failure an activity should end with.
 *
 * - UserError → `UserError`, not retried; but a full disk → `DiskFull`, retried slowly: someone may free space.
 * - input that does not parse → `InvalidInput`, not retried.
 * - anything else → retried, typed by the error's name (`ComputeProcessDied`, …).
 */
export function toFailure(error: unknown): Error {
  if (error instanceof ApplicationFailure || error instanceof CancelledFailure) return error;
  if (error instanceof UserError) {
    const message = `${error.message} ${error.remedy}`;
    const details = [{ remedy: error.remedy }];
    if (isDiskFull(error)) return ApplicationFailure.create({ message, type: 'DiskFull', details, cause: error, nextRetryDelay: diskRetryDelay });
    return ApplicationFailure.create({ message, type: 'UserError', nonRetryable: true, details, cause: error });
  }
  if (error instanceof z.ZodError) {
    const fields = error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ');
    return ApplicationFailure.nonRetryable(`the activity's input is malformed: ${fields}`, 'InvalidInput');
  }
  if (error instanceof Error) return ApplicationFailure.create({ message: error.message, type: error.name, cause: error });
  return ApplicationFailure.create({ message: String(error), type: 'Error' });
}

/** Wraps every function of a group of activities so that it fails as toFailure says. */
export function withFailures<Activities extends Record<string, (input: never) => Promise<unknown>>>(activities: Activities): Activities {
  const wrapped = Object.entries(activities).map(([name, activity]) => [
    name,
    async (input: never) => {
      try {
        return await activity(input);
      } catch (error) {
        throw toFailure(error);
      }
    },
  ]);
  return Object.fromEntries(wrapped) as Activities;
}

/** The stores say a full disk with the system's own code in their message. */
function isDiskFull({ message }: UserError): boolean {
  return /\b(ENOSPC|EDQUOT|EFBIG)\b/.test(message);
}
