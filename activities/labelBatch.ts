// Labels of some features from an OpenAI-compatible endpoint. Whatever kills it, the next attempt asks only what was not
// answered: answers are in the store before they are used.
import { Context } from '@temporalio/activity';
import type { ArtifactStore } from '../data/artifactStore.ts';
import { BudgetReached, ChatAnswers } from '../data/chatAnswers.ts';
import { readSiteData } from '../data/siteData.ts';
import { interpret } from '../data/interpretation.ts';
import { addLabels } from '../data/labels.ts';
import { tokenStrings } from '../data/exchangeFeatures.ts';
import type { FeatureLabels } from '../schemas/dashboard.ts';
import type { LabelBatchInput, LabelBatchResult } from '../schemas/labels.ts';

/** The API key, from the worker's environment and nowhere else. */
export function labelsApiKey(env: NodeJS.ProcessEnv = process.env): string | undefined {
  return env['SAEFLOW_LABELS_API_KEY'] || env['OPENAI_API_KEY'] || undefined;
}

export async function labelBatch(store: ArtifactStore, { job, dashboard, features, config, spent }: LabelBatchInput): Promise<LabelBatchResult> {
  // Inside an activity: its cancellation ends what is asked.
  const signal = Context.current().cancellationSignal;
  const site = readSiteData(store, `exportDashboard/${dashboard}/site`);
  const [strings, texts] = [tokenStrings(await site.vocabulary()), await site.texts()];
  const answers = new ChatAnswers(store, config, job, spent, signal, labelsApiKey());
  const labels: FeatureLabels['labels'] = [];
  let [skipped, budgetReached, next] = [0, false, 0];
  const work = async () => {
    while (next < features.length && !budgetReached) {
      const feature = features[next++]!;
      try {
        const label = await interpret(await site.page(feature), texts, strings, config, (question) => answers.ask(question));
        if (label === null || label.text === '') skipped++;
        else labels.push(label);
      } catch (error) {
        if (!(error instanceof BudgetReached)) throw error;
        budgetReached = true;
      }
    }
  };
  const ended = await Promise.allSettled(Array.from({ length: config.concurrency }, work));
  if (labels.length > 0) await addLabels(store, dashboard, { model: config.model, labels });
  for (const one of ended) if (one.status === 'rejected') throw one.reason;
  return { labelled: labels.length, skipped, spent: answers.spent, budgetReached };
}
