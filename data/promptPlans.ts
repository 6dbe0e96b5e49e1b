// The prompts of a sampleActivations artifact, from its spec and the manifests of what it reads.
import { UserError } from '../schemas/errors.ts';
import type { SpecOf } from '../schemas/stages.ts';
import type { ArtifactStore } from './artifactStore.ts';
import { manifestOf, specOf } from './inputs.ts';
import { PromptPlan } from './promptPlan.ts';

/** The prompts of a sampleActivations stage. Throws UserError when the corpus has too few tokens for it. */
export async function promptPlanOf(store: ArtifactStore, spec: SpecOf<'sampleActivations'>): Promise<PromptPlan> {
  const tokenize = await manifestOf(store, 'tokenize', spec.inputs.tokenize);
  const contextLength = await contextLengthOf(store, spec.inputs.trainTransformer);
  try {
    return new PromptPlan(spec.config.activations, spec.config.seed, contextLength, tokenize.metrics['trainTokens']!);
  } catch (cause) {
    throw new UserError(`activations.prompts: ${(cause as Error).message}`, 'Ask for fewer prompts, use a larger corpus, or the plan random-offsets.', { cause });
  }
}

/** Tokens of a prompt of a trained transformer. */
export async function contextLengthOf(store: ArtifactStore, key: string): Promise<number> {
  return (await specOf(store, { stage: 'trainTransformer', key }, 'trainTransformer')).config.architecture.contextLength;
}
