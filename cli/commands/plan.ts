// `saeflow plan`: what a run would take, also where it can't be run.
import { Command } from 'commander';
import { openStore } from '../../data/artifactStore.ts';
import { freeBytes } from '../../setup/cache.ts';
import { lookAtCorpus, withTokenizer } from '../corpus.ts';
import { knownDevices } from '../devices.ts';
import { resolveConfig, type ConfigOptions } from '../input.ts';
import { buildPlan, describePlan } from '../plan.ts';
import { storeFolder } from '../reports.ts';
import { storeUri } from '../state.ts';
import { addConfigOptions, addExamples, addStoreOption } from './options.ts';

export function planCommand(): Command {
  const command = new Command('plan')
    .description('shards, bytes, floating-point operations and estimated time of a run, without running it')
    .argument('[preset]', 'tiny, demo, small or monosemantic (default: demo)')
    .option('--preset <name>', 'the same as the argument')
    .option('--json', 'the whole plan and configuration as JSON');
  addStoreOption(addConfigOptions(command));
  addExamples(command, 'plan --preset monosemantic', 'plan small --corpus corpus.jsonl', 'plan demo --json');
  return command.action(async (preset: string | undefined, options: ConfigOptions & { json?: boolean; store?: string }) => {
    const chosen = preset ?? options.preset;
    const config = await withTokenizer(resolveConfig({ ...options, ...(chosen === undefined ? {} : { preset: chosen }) }), process.cwd());
    const corpus = await lookAtCorpus(config, process.cwd());
    const folder = storeFolder(openStore(storeUri(options.store)));
    const plan = buildPlan(config, corpus, knownDevices(), folder === undefined ? undefined : await freeBytes(folder));
    console.log(options.json ? JSON.stringify(plan, null, 2) : describePlan(plan).join('\n'));
  });
}
