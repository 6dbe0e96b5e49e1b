// What a worker says on stderr: one line an event, without the SDK's metadata and stacks (Temporal's UI has those).
import { DefaultLogger, type LogEntry } from '@temporalio/worker';

/** Normal here: every queue has workers of one kind. */
const expected = /^No (activities|workflows) registered/;

/** A logger of warnings and errors for Temporal's Runtime. */
export function workerLog(write: (line: string) => void = (line) => void process.stderr.write(`${line}\n`)): DefaultLogger {
  return new DefaultLogger('WARN', (entry) => {
    if (!expected.test(entry.message)) write(lineOf(entry));
  });
}

/** `saeflow worker: Activity failed: trainSaeSegment, attempt 2: the compute process … (saeflow/trainSae/0123456789ab)`. */
function lineOf({ message, meta = {} }: LogEntry): string {
  const { activityType, workflowType, attempt, workflowId, error } = meta;
  const what = [activityType ?? workflowType, attempt === undefined ? undefined : `attempt ${attempt}`].filter(Boolean).join(', ');
  const why = error instanceof Error ? error.message.split('\n', 1)[0] : error;
  return [`saeflow worker: ${message}`, what, why].filter(Boolean).join(': ') + (workflowId === undefined ? '' : ` (${workflowId})`);
}
