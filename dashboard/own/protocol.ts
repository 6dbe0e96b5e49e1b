// What the page and the worker that runs the model say to each other.
import type { SiteModel, Vocabulary } from '../../schemas/dashboard.ts';
import type { FeatureChange, TokenFeatures } from '../../model/textReading.ts';

/** In the order in which they are tried. */
export const backends = ['webgpu', 'webgl', 'wasm'] as const;
export type Backend = (typeof backends)[number];
export type BackendChoice = Backend | 'auto';

export interface LoadRequest {
  type: 'load';
  choice: BackendChoice;
  config: SiteModel;
  vocabulary: Vocabulary;
  /** Address of site/model/. */
  modelUrl: string;
}

export interface ReadRequest {
  type: 'read';
  text: string;
}

export interface NextRequest {
  type: 'next';
  /** Of the text last read: the token after it is asked for. */
  position: number;
  change?: FeatureChange;
}

export type ToWorker = LoadRequest | ReadRequest | NextRequest;

export interface Refused {
  backend: Backend;
  reason: string;
}

export interface Ready {
  type: 'ready';
  backend: Backend;
  /** Backends that come before it and could not be used. */
  refused: Refused[];
}

export interface TextRead extends TokenFeatures {
  type: 'read';
  /** The end of text before the text is the first. */
  tokens: number[];
  /** Tokens of the text that did not fit the model's context. */
  leftOut: number;
  ms: number;
}

/** A token's probability as the model is, and with the change. */
export interface NextToken {
  token: number;
  before: number;
  after: number;
}

export interface NextTokens {
  type: 'next';
  position: number;
  /** The likeliest before or after, by the larger of both. */
  likeliest: NextToken[];
  /** The token that does follow in the text. */
  followed?: NextToken;
  ms: number;
}

export type FromWorker = { type: 'progress'; loaded: number; total: number } | Ready | TextRead | NextTokens | { type: 'failed'; message: string; remedy: string };
