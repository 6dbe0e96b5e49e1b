// Every failure as one clear message and what to do about it. What failed in a worker comes wrapped by Temporal three
// deep; what failed in the system comes as a code. Stacks are for developers: SAEFLOW_DEBUG shows them.
import { WorkflowFailedError, WorkflowNotFoundError } from '@temporalio/client';
import { ApplicationFailure, CancelledFailure, TemporalFailure, TerminatedFailure } from '@temporalio/common';
import { UserError } from '../schemas/errors.ts';

/** Thrown when a person stopped a command: there is nothing to say beyond what was said already. */
export class Stopped extends Error {
  override readonly name = 'Stopped';
  /** As a shell reports an end by SIGINT. */
  readonly exitCode = 130;
}

const systemRemedies: Record<string, string> = {
  ENOSPC: 'The disk is full: free some space (saeflow doctor shows how much there is) or choose another folder with --store or SAEFLOW_STORE, then run the same command again; what is finished is kept.',
  EDQUOT: 'Your disk quota is used up: free some space, then run the same command again; what is finished is kept.',
  EACCES: 'You may not read or write there: change the permissions or choose another folder.',
  EPERM: 'You may not read or write there: change the permissions or choose another folder.',
  EROFS: 'That disk is read-only: choose another folder with --store, SAEFLOW_STORE or SAEFLOW_STATE_DIR.',
  EADDRINUSE: 'Stop the program that uses the port, or give another one.',
  EMFILE: 'Too many open files: raise the limit with ulimit -n.',
};

/**
 * What to print of an error: message, then remedy on lines of their own.
 *
 * @example
 * describeError(new UserError('seed: no', 'Use 1.')); // 'saeflow: seed: no\n         Use 1.'
 */
export function describeError(error: unknown): string {
  const { message, remedy } = explain(error);
  const lines = [...message.split('\n'), ...(remedy === undefined ? [] : remedy.split('\n'))];
  const text = lines.map((line, index) => (index === 0 ? `saeflow: ${line}` : `         ${line}`)).join('\n');
  const stack = error instanceof Error && error.stack !== undefined ? error.stack : String(error);
  return process.env['SAEFLOW_DEBUG'] ? `${text}\n\n${stack}` : text;
}

/** The UserError an error stands for, or the nearest thing to it. */
export function explain(error: unknown): { message: string; remedy?: string } {
  if (error instanceof UserError) return { message: error.message, remedy: error.remedy };
  if (error instanceof WorkflowFailedError) return explainFailure(error.cause ?? error);
  if (error instanceof TemporalFailure) return explainFailure(error);
  if (error instanceof WorkflowNotFoundError) return { message: `no run ${error.workflowId} is on this Temporal server`, remedy: 'Run saeflow ls to see the runs there are.' };
  if (error instanceof Error) {
    const code = (error as NodeJS.ErrnoException).code;
    const remedy = code === undefined ? undefined : systemRemedies[code];
    if (remedy !== undefined) return { message: error.message, remedy };
    const unreachable = /ECONNREFUSED|UNAVAILABLE|Failed to connect/i.test(`${String(code)} ${error.message}`);
    if (unreachable) return { message: `the Temporal server does not answer: ${error.message}`, remedy: 'Run the same command again; if it stays so, see .saeflow/logs/temporal.log or run saeflow doctor.' };
    return { message: error.message, remedy: 'This was not foreseen: set SAEFLOW_DEBUG=1 to see where it comes from, and please report it.' };
  }
  return { message: String(error) };
}

function explainFailure(failure: Error): { message: string; remedy?: string } {
  const chain = causes(failure);
  const innermost = chain.findLast((error) => error instanceof ApplicationFailure);
  if (innermost instanceof ApplicationFailure) return explainApplicationFailure(innermost);
  if (chain.some((error) => error instanceof CancelledFailure)) return { message: 'the run was cancelled', remedy: 'Start it again to go on: what is finished is kept.' };
  if (chain.some((error) => error instanceof TerminatedFailure)) return { message: 'the run was terminated', remedy: 'Start it again to go on: what is finished is kept.' };
  return { message: chain.at(-1)?.message ?? failure.message, remedy: 'Start it again to go on: what is finished is kept.' };
}

function explainApplicationFailure(failure: ApplicationFailure): { message: string; remedy?: string } {
  const remedy = remedyIn(failure);
  const message = remedy === undefined ? failure.message : failure.message.slice(0, failure.message.lastIndexOf(remedy)).trim() || failure.message;
  if (remedy !== undefined) return { message, remedy };
  if (failure.type === 'InvalidConfiguration') return { message };
  if (failure.type === 'Aborted') return { message, remedy: 'What is finished is kept: start the run again to go on.' };
  return { message, remedy: 'What is finished is kept: mend the cause and start the run again.' };
}

function remedyIn({ details }: ApplicationFailure): string | undefined {
  const first: unknown = details?.[0];
  if (typeof first !== 'object' || first === null || !('remedy' in first)) return undefined;
  return typeof first.remedy === 'string' ? first.remedy : undefined;
}

function causes(error: Error): Error[] {
  const chain = [error];
  for (let cause = error.cause; cause instanceof Error && chain.length < 20; cause = cause.cause) chain.push(cause);
  return chain;
}
