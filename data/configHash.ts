// The hash that says which run a configuration stands for: workflows show it, the command line starts and finds runs by it.
import { createHash } from 'node:crypto';
import { pipelineConfig, type PipelineConfig } from '../schemas/config.ts';
import { canonicalJson, fieldsInsideKey } from '../schemas/keys.ts';

/** SHA-256 over all that affects results, and the paths of the corpus and of an imported tokenizer: equal for runs that make the same things from files of the same names. */
export function configHash(config: PipelineConfig): string {
  const { tokenizer } = config.tokenize;
  const files = [config.corpus.paths, ...(tokenizer === 'gpt2' ? [] : [tokenizer.file])];
  return createHash('sha256').update(canonicalJson([fieldsInsideKey(pipelineConfig, config), ...files])).digest('hex');
}

/** The id of a run's workflow: the same request twice is the same workflow. */
export function runWorkflowId(config: PipelineConfig): string {
  return `saeflow/${config.name}/${configHash(config).slice(0, 12)}`;
}
