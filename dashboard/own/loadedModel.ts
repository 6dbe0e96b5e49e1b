// The model as it comes from site/model/: tokenizer, transformer and SAE, with the code that made them.
import * as tf from '@tensorflow/tfjs-core';
import { ByteLevelTokenizer, type Tokenizer } from '../../data/byteLevelTokenizer.ts';
import { fromFloat16 } from '../../data/float16.ts';
import { tablesOf } from '../../data/rankedTokens.ts';
import { decodeSafetensors } from '../../data/safetensors.ts';
import { readTokenizerJson } from '../../data/tokenizerJson.ts';
import type { SaeParameters } from '../../model/sae.ts';
import { TextReader, type FeatureChange, type TokenFeatures } from '../../model/textReading.ts';
import { Transformer, type Tensors } from '../../model/transformer.ts';
import { siteModel, type Vocabulary } from '../../schemas/dashboard.ts';
import { fetchModelFile, modelFilesOf } from './modelCache.ts';
import type { LoadRequest, NextToken } from './protocol.ts';

const likeliestShown = 10;

export class LoadedModel {
  private readonly tokenizer: Tokenizer;
  private readonly reader: TextReader;
  /** Of the text last read, with what was left out. */
  private tokens = new Int32Array(0);

  private constructor(tokenizer: Tokenizer, reader: TextReader) {
    this.tokenizer = tokenizer;
    this.reader = reader;
  }

  /** Fetches what is not kept yet. `onProgress`: bytes there, and bytes in all. */
  static async load({ config: given, vocabulary, modelUrl }: LoadRequest, onProgress: (loaded: number, total: number) => void): Promise<LoadedModel> {
    const config = siteModel.parse(given);
    const total = modelFilesOf(config).bytes;
    let loaded = 0;
    const fetchFile = (file: typeof config.sae) =>
      fetchModelFile(modelUrl, file, (more) => {
        loaded += more;
        onProgress(loaded, total);
      });
    const parameters = toTensors(await fetchFile(config.transformer));
    const sae = toTensors(await fetchFile(config.sae)) as unknown as SaeParameters;
    const { tokenizer: file } = config;
    const tokenizer = file === undefined ? gpt2Of(vocabulary) : readTokenizerJson(new TextDecoder().decode(await fetchFile(file)), file.endOfText, `model/${file.file}`);
    return new LoadedModel(tokenizer, new TextReader(new Transformer(config.architecture, parameters), sae, config.hook));
  }

  /** All activations on the text, an end of text before it, as in training; what goes beyond the model's context is left out. */
  async read(text: string): Promise<TokenFeatures & { tokens: number[]; leftOut: number }> {
    const { contextLength } = this.reader.model.architecture;
    const own = this.tokenizer.encode(text);
    const kept = own.subarray(0, contextLength - 1);
    this.tokens = new Int32Array(own.length + 1);
    this.tokens[0] = this.tokenizer.eot;
    this.tokens.set(own, 1);
    const read = this.tokens.slice(0, kept.length + 1);
    return { ...(await this.reader.read(read)), tokens: [...read], leftOut: own.length - kept.length };
  }

  /** The likeliest tokens after a position of the text last read, and the one that does follow there. */
  async next(position: number, change?: FeatureChange): Promise<{ likeliest: NextToken[]; followed?: NextToken }> {
    const before = await this.reader.nextToken(position);
    const after = change === undefined ? before : await this.reader.nextToken(position, change);
    const at = (token: number): NextToken => ({ token, before: before[token]!, after: after[token]! });
    const tokens = new Set([...this.largest(before), ...this.largest(after)]);
    const likeliest = [...tokens].map(at).sort((a, b) => Math.max(b.before, b.after) - Math.max(a.before, a.after) || a.token - b.token);
    const following = this.tokens[position + 1];
    return { likeliest, ...(following === undefined ? {} : { followed: at(following) }) };
  }

  /** Ids that the padded vocabulary has beyond the tokenizer's are never shown. */
  private largest(probabilities: Float32Array): number[] {
    const best: number[] = [];
    for (let token = 0; token < this.tokenizer.vocabSize; token++) {
      if (best.length === likeliestShown && probabilities[token]! <= probabilities[best.at(-1)!]!) continue;
      best.push(token);
      best.sort((a, b) => probabilities[b]! - probabilities[a]! || a - b);
      best.length = Math.min(best.length, likeliestShown);
    }
    return best;
  }
}

function toTensors(file: Uint8Array): Tensors {
  const { tensors } = decodeSafetensors(file);
  return Object.fromEntries(Object.entries(tensors).map(([name, { shape, data }]) => [name, tf.tensor(fromFloat16(data as Uint16Array), shape, 'float32')]));
}

/** GPT-2's, whole or cut: its tokens are in the order of their ranks, and the end of text is the last. */
function gpt2Of({ tokens, eot }: Vocabulary): Tokenizer {
  return new ByteLevelTokenizer(tablesOf(tokens.slice(0, eot).map((token) => Uint8Array.from(token, (character) => character.charCodeAt(0)))));
}
