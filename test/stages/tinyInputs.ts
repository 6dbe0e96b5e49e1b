// What training reads, made once a test file at the shapes of the tiny preset: tokens, a transformer and activations in a
// store of their own, and copies of it to damage.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { specKey } from '../../data/artifact.ts';
import { openStore, type ArtifactStore } from '../../data/artifactStore.ts';
import { resolveCorpusFiles } from '../../data/corpusFiles.ts';
import { corpusPath } from '../../data/plans.ts';
import { resolveInput } from '../../presets/resolve.ts';
import type { PipelineConfig, SaeConfig, TransformerTrainingConfig } from '../../schemas/config.ts';
import { UserError } from '../../schemas/errors.ts';
import type { ArtifactId, SpecOf, StageSpec } from '../../schemas/stages.ts';
import { loadBackend } from '../../workers/tensorflow.ts';
import { writeTestCorpus } from '../../bench/corpus.ts';
import { runStage } from '../../stages/inProcess.ts';

/** Key of the corpus. */
export const tinyCorpus = 'c'.repeat(64);

export class TinyInputs {
  readonly config: PipelineConfig = resolveInput({ preset: 'tiny' });
  readonly folder: string;
  readonly store: ArtifactStore;
  readonly keys: Record<'tokenize' | 'trainTransformer' | 'sampleActivations', string>;

  private constructor(folder: string, keys: TinyInputs['keys']) {
    this.folder = folder;
    this.store = openStore(join(folder, 'store'));
    this.keys = keys;
  }

  static async make(): Promise<TinyInputs> {
    await loadBackend({});
    const inputs = new TinyInputs(await mkdtemp(join(tmpdir(), 'saeflow-tiny-')), { tokenize: '', trainTransformer: '', sampleActivations: '' });
    const { folder, store, keys, config } = inputs;
    await writeTestCorpus(join(folder, 'corpus.jsonl'));
    await store.put(corpusPath(tinyCorpus), Buffer.from(JSON.stringify(await resolveCorpusFiles([join(folder, 'corpus.jsonl')], folder))));
    const make = async (spec: StageSpec) => (await runStage(store, spec)).artifact.key;
    keys.tokenize = await make({ stage: 'tokenize', config: { corpus: config.corpus, tokenize: config.tokenize }, inputs: { corpus: tinyCorpus } });
    keys.trainTransformer = await make(inputs.transformer({}));
    keys.sampleActivations = await make(inputs.activations());
    return inputs;
  }

  transformer(training: Partial<TransformerTrainingConfig>): SpecOf<'trainTransformer'> {
    const { architecture, training: usual } = this.config.transformer;
    return { stage: 'trainTransformer', config: { seed: 1, architecture, training: { ...usual, ...training } }, inputs: { tokenize: this.keys.tokenize } };
  }

  activations(): SpecOf<'sampleActivations'> {
    const { tokenize, trainTransformer } = this.keys;
    return { stage: 'sampleActivations', config: { seed: 1, hook: this.config.saes[0]!.hook, activations: this.config.activations }, inputs: { tokenize, trainTransformer } };
  }

  sae(sae: Partial<SaeConfig>): SpecOf<'trainSae'> {
    return { stage: 'trainSae', config: { seed: 1, sae: { ...this.config.saes[0]!, ...sae } }, inputs: { sampleActivations: this.keys.sampleActivations } };
  }

  /** A store of its own with the finished artifacts, but for those paths. */
  async copy(name: string, without?: RegExp): Promise<ArtifactStore> {
    const other = openStore(join(this.folder, name));
    for (const [stage, key] of Object.entries(this.keys)) {
      for (const { path } of await this.store.list(`${stage}/${key}/`)) if (!without?.test(path)) await other.put(path, await this.store.get(path));
    }
    return other;
  }

  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}

export function idOf(spec: StageSpec): ArtifactId {
  return { stage: spec.stage, key: specKey(spec) };
}

/** The UserError that a stage ends with. */
export async function failureOf(store: ArtifactStore, spec: StageSpec): Promise<UserError> {
  const error: unknown = await runStage(store, spec).then(() => 'completed', (thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(UserError);
  return error as UserError;
}
