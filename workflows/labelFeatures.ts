// Labels of features, batch after batch, until all have one or the budget is used up. Every answer is kept, so the same
// request again goes on where the last one ended.
import { setCurrentDetails, workflowInfo } from '@temporalio/workflow';
import { ApplicationFailure } from '@temporalio/common';
import { labelInput, type LabelInput, type LabelResult } from '../schemas/labels.ts';
import { labels } from './activityProxies.ts';

/** Few enough that a killed worker repeats little, many enough that 5,000 features are a short history. */
const featuresPerBatch = 16;

export async function labelFeatures(input: LabelInput): Promise<LabelResult> {
  const parsed = labelInput.safeParse(input);
  if (!parsed.success) throw ApplicationFailure.nonRetryable(parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; '), 'InvalidInput');
  const { dashboard, features, config } = parsed.data;
  const { workflowId, runId } = workflowInfo();
  const total: LabelResult = { labelled: 0, skipped: 0, spent: { requests: 0, inputTokens: 0, outputTokens: 0 }, budgetReached: false, labelsUri: `labels/${dashboard}.json` };
  for (let at = 0; at < features.length && !total.budgetReached; at += featuresPerBatch) {
    setCurrentDetails(`**${at} of ${features.length} features** · ${total.spent.requests} requests, ${total.spent.inputTokens + total.spent.outputTokens} tokens · texts go to \`${new URL(config.endpoint).host}\`\n\n---`);
    const batch = await labels.labelBatch({ job: `${workflowId}/${runId}`, dashboard, features: features.slice(at, at + featuresPerBatch), config, spent: total.spent });
    total.labelled += batch.labelled;
    total.skipped += batch.skipped;
    total.spent = batch.spent;
    total.budgetReached = batch.budgetReached;
  }
  setCurrentDetails(`**${total.labelled} labelled**, ${total.skipped} without a label${total.budgetReached ? ' · **the budget is used up**' : ''} · ${total.spent.requests} requests, ${total.spent.inputTokens + total.spent.outputTokens} tokens\n\n---`);
  return total;
}
