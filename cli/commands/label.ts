// `saeflow label`: automatic labels for a run's features. Off unless asked for, since it sends text of the corpus to
// whoever runs the endpoint: the first line says to whom.
import { Command, InvalidArgumentError } from 'commander';
import { openStore } from '../../data/artifactStore.ts';
import { readLabels } from '../../data/labels.ts';
import { readSiteData } from '../../data/siteData.ts';
import { UserError } from '../../schemas/errors.ts';
import { labelConfig, type LabelConfig } from '../../schemas/labels.ts';
import { workflowUrl } from '../connection.ts';
import { Stopped } from '../errors.ts';
import { formatCount } from '../../schemas/format.ts';
import { Interrupt } from '../interrupt.ts';
import { labelsResult, startLabels } from '../labelRuns.ts';
import { bringUp } from '../localStack.ts';
import { findReport } from '../reports.ts';
import { sitePath } from '../site.ts';
import { storeUri } from '../state.ts';
import { addExamples, addStoreOption, toCount } from './options.ts';

interface Options {
  endpoint: string;
  model: string;
  features?: number | number[];
  budget?: number;
  budgetTokens?: number;
  budgetCost?: number;
  priceInput?: number;
  priceOutput?: number;
  rpm?: number;
  scores: boolean;
  again?: boolean;
  sae?: string;
  store?: string;
}

export function labelCommand(): Command {
  const command = new Command('label')
    .description('ask a language model what features mean, through any OpenAI-compatible endpoint; example texts are sent to it')
    .argument('[run]', 'a name, name/hash or workflow id (default: the newest)')
    .requiredOption('--endpoint <url>', 'such as https://api.openai.com/v1 or http://127.0.0.1:8000/v1')
    .requiredOption('--model <name>', 'as the endpoint calls it')
    .option('--features <n or list>', 'so many of those without a label, the strongest firing first, or these: 12, or 3,17,40 (default: 100)', toFeatures)
    .option('--budget <requests>', 'requests at most (default: 1000)', toCount)
    .option('--budget-tokens <tokens>', 'tokens at most, questions and answers together (default: 2000000)', toCount)
    .option('--budget-cost <money>', 'money at most, at the prices given', toMoney)
    .option('--price-input <money>', 'for a million tokens of questions', toMoney)
    .option('--price-output <money>', 'for a million tokens of answers', toMoney)
    .option('--rpm <n>', 'requests a minute at most (default: 60)', toCount)
    .option('--no-scores', 'labels only: a third of the requests')
    .option('--again', 'also features that have a label')
    .option('--sae <name>', 'which SAE, where a run has several');
  addStoreOption(command);
  addExamples(command, 'label demo --endpoint http://127.0.0.1:8000/v1 --model my-model --features 50', 'label --endpoint https://api.openai.com/v1 --model gpt-5-mini --features 3,17 --budget 20   (key in SAEFLOW_LABELS_API_KEY or OPENAI_API_KEY)');
  return command.action(label);
}

async function label(run: string | undefined, options: Options): Promise<void> {
  const config = configOf(options);
  console.log(`example texts of the corpus are sent to ${new URL(config.endpoint).host} (model ${config.model})`);
  const uri = storeUri(options.store);
  const { report } = await findReport(uri, run);
  const dashboard = sitePath(report, options.sae).split('/')[1]!;
  const features = await chosenFeatures(uri, dashboard, options);
  if (features.length === 0) return console.log('every feature that fires has a label (--again asks once more)');
  const interrupt = new Interrupt();
  let giveUp: (error: Error) => void = () => undefined;
  const trouble = new Promise<never>((_, reject) => (giveUp = reject));
  trouble.catch(() => undefined);
  const stack = await bringUp({ storeUri: uri, worker: true, say: (line) => console.log(line), onGiveUp: giveUp });
  interrupt.beforeKill(() => stack.kill());
  const watching = new AbortController();
  try {
    const workflowId = await startLabels(stack.temporal.client, { dashboard, features, config });
    console.log(`labelling ${formatCount(features.length)} features: ${workflowUrl(stack.temporal, workflowId) ?? workflowId}`);
    const result = await Promise.race([labelsResult(stack.temporal.client, workflowId, watching.signal), interrupt.raised.then(() => undefined), trouble]);
    if (result === undefined) throw new Stopped();
    const { labelled, skipped, spent, budgetReached, labelsUri } = result;
    console.log(`${formatCount(labelled)} labelled, ${formatCount(skipped)} without a label; ${formatCount(spent.requests)} requests, ${formatCount(spent.inputTokens + spent.outputTokens)} tokens, in ${uri}/${labelsUri}`);
    if (budgetReached) console.log('the budget is used up: the same command with more goes on, and asks nothing twice');
  } finally {
    watching.abort();
    await stack.stop({ keepServer: false });
    interrupt.release();
  }
}

function configOf({ endpoint, model, budget, budgetTokens, budgetCost, priceInput, priceOutput, rpm, scores }: Options): LabelConfig {
  const parsed = labelConfig.safeParse({
    endpoint,
    model,
    budget: { requests: budget, tokens: budgetTokens, cost: budgetCost },
    ...(priceInput === undefined && priceOutput === undefined ? {} : { prices: { input: priceInput ?? 0, output: priceOutput ?? 0 } }),
    ...(rpm === undefined ? {} : { requestsPerMinute: rpm }),
    ...(scores ? {} : { scoredExamples: 0 }),
  });
  if (parsed.success) {
    if (new URL(parsed.data.endpoint).username === '') return parsed.data;
    throw new UserError('--endpoint holds a user or password, which histories would keep', 'Put the key in SAEFLOW_LABELS_API_KEY.');
  }
  const { path, message } = parsed.error.issues[0]!;
  throw new UserError(`label ${path.join('.')}: ${message}`, 'saeflow label --help shows the options.');
}

const defaultCount = 100;

async function chosenFeatures(uri: string, dashboard: string, { features = defaultCount, again }: Options): Promise<number[]> {
  if (Array.isArray(features)) return features;
  const store = openStore(uri);
  const { maxActivation } = await readSiteData(store, `exportDashboard/${dashboard}/site`).index();
  const labelled = new Set(again ? [] : (await readLabels(store, dashboard))?.labels.map(({ feature }) => feature));
  const alive = maxActivation.flatMap((value, feature) => (value > 0 && !labelled.has(feature) ? [feature] : []));
  return alive.sort((a, b) => maxActivation[b]! - maxActivation[a]! || a - b).slice(0, features);
}

function toFeatures(text: string): number | number[] {
  if (!text.includes(',')) return toCount(text);
  const list = text.split(',').filter((part) => part.trim() !== '').map(Number);
  if (list.every((value) => Number.isSafeInteger(value) && value >= 0)) return list;
  throw new InvalidArgumentError('Give a number, or numbers with commas between (a comma at the end makes one number a list).');
}

function toMoney(text: string): number {
  const value = Number(text);
  if (Number.isFinite(value) && value >= 0) return value;
  throw new InvalidArgumentError('Give a number from 0 up.');
}
