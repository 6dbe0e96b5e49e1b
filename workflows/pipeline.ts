// The whole run on one screen: five stages, each found in the store or made by a child workflow of its own. A stage's type
// that is started by itself with a configuration is the same run, as far as that stage.
import { workflowInfo } from '@temporalio/workflow';
import type { PipelineConfig } from '../schemas/config.ts';
import type { PipelineResult, StageResult } from '../schemas/progress.ts';
import type { StageName } from '../schemas/stages.ts';
import { resolveInput } from '../presets/resolve.ts';
import { scan, short } from './activityProxies.ts';
import { changesSincePrevious } from './changes.ts';
import { orInvalid } from './failures.ts';
import { policies } from './policies.ts';
import { hookLabel, hooksOf, Run, saeLabel } from './run.ts';
import { activationsSpec, dashboardSpec, saeSpec, tokenizeSpec, transformerSpec } from './specs.ts';

/**
 * Tokenize → train a transformer → sample activations → train SAEs → export dashboards.
 *
 * @param input nothing, a preset's name, `{preset, …overrides}` or a full configuration (presets/resolve.ts).
 * @throws ApplicationFailure (non-retryable, `InvalidConfiguration`) naming every wrong field.
 */
export async function pipeline(input?: unknown): Promise<PipelineResult> {
  const { config, run, configHash, stages } = await makeStages(input, 'exportDashboard');
  const changes = await changesSincePrevious(config, stages);
  run.conclude(changes);
  const { workflowId } = workflowInfo();
  const { reportUri } = await scan.publishRun.executeWithOptions(run.options(policies.scan), [{ run: config.name, configHash, config, stages, workflowId, finishedAt: new Date().toISOString(), changes }]);
  // In the order in which the UI shows it.
  return { run: config.name, changes, reportUri, configHash, stages };
}

/** What a run made of its stages, all or as far as one. */
export interface StagesMade {
  config: PipelineConfig;
  run: Run;
  configHash: string;
  stages: StageResult[];
}

/**
 * The stages of a run in order, as far as `last`.
 *
 * @throws ApplicationFailure as pipeline does.
 */
export async function makeStages(input: unknown, last: StageName): Promise<StagesMade> {
  const config = orInvalid(() => resolveInput(input));
  const run = new Run(config, last);
  const configHash = await short.hashConfig.executeWithOptions(run.options(policies.short), [config]);
  run.identify(configHash);
  const made = { config, run, configHash };

  const corpus = await scan.resolveCorpus.executeWithOptions(run.options(policies.scan), [config.corpus]);
  const tokens = await run.stage(tokenizeSpec(await withTokenizer(config, run), corpus.key));
  const tokenize = tokens.artifact.key;
  if (last === 'tokenize') return { ...made, stages: [tokens] };

  const model = await run.stage(transformerSpec(config, { tokenize }));
  const trainTransformer = model.artifact.key;
  if (last === 'trainTransformer') return { ...made, stages: [tokens, model] };

  const hooks = hooksOf(config);
  const sample = () => Promise.all(hooks.map((hook) => run.stage(activationsSpec(config, hook, { tokenize, trainTransformer }), hookLabel(config, hook))));
  if (last === 'sampleActivations') return { ...made, stages: [tokens, model, ...(await sample())] };
  // What is to be consumed is made while SAEs read it (supplyActivations.ts), and finished after them.
  const consumed = config.activations.retention === 'consume';
  const before = consumed ? undefined : await sample();
  const keys = before?.map(({ artifact }) => artifact.key) ?? (await Promise.all(hooks.map((hook) => run.keyOf(activationsSpec(config, hook, { tokenize, trainTransformer }), hookLabel(config, hook)))));
  const sampledAt = (hook: string) => keys[hooks.indexOf(hook)]!;

  const saes = await Promise.all(config.saes.map((sae) => run.stage(saeSpec(config, sae, { sampleActivations: sampledAt(sae.hook) }), saeLabel(config, sae.name))));
  const upToSaes = [tokens, model, ...(before ?? (await sample())), ...saes];
  if (last === 'trainSae') return { ...made, stages: upToSaes };

  const dashboards = await Promise.all(
    config.saes.map((sae, index) => {
      const inputs = { tokenize, trainTransformer, sampleActivations: sampledAt(sae.hook), trainSae: saes[index]!.artifact.key };
      return run.stage(dashboardSpec(config, inputs), saeLabel(config, sae.name));
    }),
  );

  return { ...made, stages: [...upToSaes, ...dashboards] };
}

/** The configuration with what only the file of an imported tokenizer can tell: its hash, and the number of its ids. */
async function withTokenizer(config: PipelineConfig, run: Run): Promise<PipelineConfig> {
  return config.tokenize.tokenizer === 'gpt2' ? config : { ...config, tokenize: await scan.resolveTokenizer.executeWithOptions(run.options(policies.scan), [config.tokenize]) };
}
