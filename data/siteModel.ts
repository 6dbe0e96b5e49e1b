// Model and SAE as the dashboard's page fetches them: half precision, half the bytes to wait for, and a description that
// names each file with its size and hash. Written once a dashboard, read by the page with the same decoder.
import { createHash } from 'node:crypto';
import { siteModel, type SiteModel } from '../schemas/dashboard.ts';
import type { TokenizeConfig } from '../schemas/config.ts';
import { saturateFloat16, toFloat16 } from './float16.ts';
import { END_OF_TEXT } from './rankedTokens.ts';
import { encodeSafetensors, type StoredTensor } from './safetensors.ts';

export interface SiteModelFile {
  /** Below site/model/. */
  path: string;
  bytes: Uint8Array;
}

export interface SiteModelParts {
  transformer: Record<string, StoredTensor>;
  sae: Record<string, StoredTensor>;
  architecture: SiteModel['architecture'];
  hook: string;
  tokenize: TokenizeConfig;
  /** The imported tokenizer's file; undefined for GPT-2, whose tokens are in vocabulary.json. */
  tokenizerJson: Uint8Array | undefined;
}

/** The files of site/model/, config.json last. */
export function siteModelFiles({ transformer, sae, architecture, hook, tokenize, tokenizerJson }: SiteModelParts): SiteModelFile[] {
  const weights = [
    { path: 'transformer.safetensors', bytes: encodeSafetensors(halves(transformer)) },
    { path: 'sae.safetensors', bytes: encodeSafetensors(halves(sae)) },
  ];
  const own = tokenizerJson === undefined ? undefined : { path: 'tokenizer.json', bytes: tokenizerJson };
  const config: SiteModel = {
    architecture,
    hook,
    features: sae['b_enc']!.shape[0]!,
    transformer: fileOf(weights[0]!),
    sae: fileOf(weights[1]!),
    ...(own === undefined ? {} : { tokenizer: { ...fileOf(own), endOfText: tokenize.endOfText ?? END_OF_TEXT } }),
  };
  const description = { path: 'config.json', bytes: new TextEncoder().encode(JSON.stringify(siteModel.parse(config))) };
  return [...weights, ...(own === undefined ? [] : [own]), description];
}

/** Weights beyond ±65,504, which no trained model has, are kept finite. */
function halves(tensors: Record<string, StoredTensor>) {
  return Object.fromEntries(
    Object.entries(tensors).map(([name, { shape, data }]) => {
      const values = data as Float32Array;
      const half = toFloat16(values, new Uint16Array(values.length)) as Uint16Array<ArrayBuffer>;
      saturateFloat16(values, half);
      return [name, { shape, data: half }];
    }),
  );
}

function fileOf({ path, bytes }: SiteModelFile): SiteModel['sae'] {
  return { file: path, bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
}
