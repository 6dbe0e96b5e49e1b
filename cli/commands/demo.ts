// `saeflow demo`: the newcomer's run, from nothing to a dashboard in the browser.
import { Command } from 'commander';
import { followRun } from '../follow.ts';
import { resolveConfig } from '../input.ts';
import { addConfigOptions, addExamples, addRunOptions, followOptions, type RunOptions } from './options.ts';

export function demoCommand(): Command {
  const command = new Command('demo').description('train a small model and sparse autoencoder here, and open its dashboard');
  addRunOptions(addConfigOptions(command));
  addExamples(command, 'demo', "demo --corpus 'texts/**/*.jsonl.gz'", 'demo --set saes.0.l1Coefficient=0.002');
  return command.action(async (options: RunOptions) => {
    await followRun(resolveConfig({ ...options, ...(options.config === undefined ? { preset: 'demo' } : {}) }, { attended: true }), followOptions(options, true));
  });
}
