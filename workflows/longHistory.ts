// When a workflow has enough behind it to continue as new: counted in events, not in what it did, for one activity is six
// events where it wakes the workflow by itself and three where many end at once, and signals come on top.
import { workflowInfo } from '@temporalio/workflow';

/** Events of one run after which it begins nothing more; it continues as new once what is in flight has ended, before 3,000. */
const eventsPerRun = 2_600;

/** True once this run should continue as new. */
export function isLong(): boolean {
  const { historyLength, continueAsNewSuggested } = workflowInfo();
  return continueAsNewSuggested || historyLength >= eventsPerRun;
}
