// How stages open what earlier stages made: tokens, and the model and SAE as tensors.
import * as tf from '@tensorflow/tfjs-core';
import { readVerified } from '../data/artifact.ts';
import type { ArtifactStore } from '../data/artifactStore.ts';
import { manifestOf, specOf } from '../data/inputs.ts';
import { decodeSafetensors } from '../data/safetensors.ts';
import { TokenStream } from '../data/tokenStream.ts';
import type { Split } from '../data/tokenShard.ts';
import { Transformer, type Tensors } from '../model/transformer.ts';
import type { SaeParameters } from '../model/sae.ts';
import type { Manifest } from '../schemas/artifact.ts';
import type { ArchitectureConfig } from '../schemas/config.ts';
import { UserError } from '../schemas/errors.ts';

/** The tokens of one split of a tokenize artifact, with its vocabulary size. */
export async function openTokens(store: ArtifactStore, key: string, split: Split): Promise<{ tokens: TokenStream; vocabSize: number; manifest: Manifest }> {
  const manifest = await manifestOf(store, 'tokenize', key);
  const { config } = await specOf(store, { stage: 'tokenize', key }, 'tokenize');
  const { vocabSize } = config.tokenize;
  return { tokens: new TokenStream(store, manifest, split, vocabSize), vocabSize, manifest };
}

/** A verified safetensors file of an artifact, as tensors. */
export async function readTensors(store: ArtifactStore, manifest: Manifest, path: string): Promise<Tensors> {
  const entry = manifest.files.find((file) => file.path === path);
  if (entry === undefined) throw new UserError(`${manifest.stage}/${manifest.key}/manifest.json names no file ${path}`, 'Delete the artifact and run its stage again.');
  const { tensors } = decodeSafetensors(await readVerified(store, { stage: manifest.stage, key: manifest.key }, entry));
  return Object.fromEntries(Object.entries(tensors).map(([name, { shape, data }]) => [name, tf.tensor(data as Float32Array, shape, 'float32')]));
}

/** The trained transformer. */
export async function openModel(store: ArtifactStore, key: string): Promise<{ model: Transformer; architecture: ArchitectureConfig; manifest: Manifest }> {
  const manifest = await manifestOf(store, 'trainTransformer', key);
  const { config } = await specOf(store, { stage: 'trainTransformer', key }, 'trainTransformer');
  return { model: new Transformer(config.architecture, await readTensors(store, manifest, 'model.safetensors')), architecture: config.architecture, manifest };
}

/** The trained SAE, in units of the hooked activation, and the mean training activation [d]. */
export async function openSae(store: ArtifactStore, key: string): Promise<{ sae: SaeParameters; mean: tf.Tensor1D; manifest: Manifest }> {
  const manifest = await manifestOf(store, 'trainSae', key);
  const parameters = await readTensors(store, manifest, 'sae_weights.safetensors');
  const { activation_mean: mean } = await readTensors(store, manifest, 'activation_mean.safetensors');
  return { sae: parameters as unknown as SaeParameters, mean: mean as tf.Tensor1D, manifest };
}
