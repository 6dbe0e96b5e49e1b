// GPT-2's byte-level BPE, token for token what OpenAI's tiktoken gives (test/oracle/tokenizer.json), several times as
// fast in plain TypeScript as tiktoken's own WebAssembly build. Its ranks come from the tiktoken package.
// A vocabulary cut to the N lowest merges is itself a valid BPE; the demo uses 8,192 tokens.

import { createRequire } from 'node:module';
import { UserError } from '../schemas/errors.ts';
import { ByteLevelTokenizer, type Tokenizer, type TokenizerTables } from './byteLevelTokenizer.ts';
import { tablesOf } from './rankedTokens.ts';

export type { Tokenizer } from './byteLevelTokenizer.ts';

/** GPT-2's vocabulary, end of text included. */
export const GPT2_VOCAB_SIZE = 50_257;
/** 256 bytes and the end of text: no merges at all. */
export const SMALLEST_VOCAB_SIZE = 257;

/**
 * GPT-2's tokenizer, whole or cut to its `vocabSize − 257` first merges; the last id is the end of text.
 *
 * @param vocabSize number of ids with the end of text, 257 to 50,257.
 * @throws UserError if vocabSize is out of range.
 * @example
 * const tokenizer = createTokenizer(8_192);
 * tokenizer.encode('Hello world'); // Uint16Array [ …, … ]
 */
export function createTokenizer(vocabSize: number): Tokenizer {
  if (!Number.isInteger(vocabSize) || vocabSize < SMALLEST_VOCAB_SIZE || vocabSize > GPT2_VOCAB_SIZE) {
    throw new UserError(
      `vocabSize ${vocabSize} is not a whole number from ${SMALLEST_VOCAB_SIZE} to ${GPT2_VOCAB_SIZE}`,
      `Use ${GPT2_VOCAB_SIZE} for GPT-2's vocabulary, or a smaller one such as 8192 for a small model.`,
    );
  }
  const known = tablesBySize.get(vocabSize);
  const tables = known ?? tablesOf(gpt2Tokens().slice(0, vocabSize - 1));
  if (known === undefined) tablesBySize.set(vocabSize, tables);
  return new ByteLevelTokenizer(tables);
}

/** A process uses one or two sizes. */
const tablesBySize = new Map<number, TokenizerTables>();

let gpt2: readonly Uint8Array[] | undefined;

/** The bytes of each token by rank. Read on first use and kept: half a megabyte of base64, "! firstRank token token …". */
function gpt2Tokens(): readonly Uint8Array[] {
  if (gpt2 !== undefined) return gpt2;
  const encoder = createRequire(import.meta.url)('tiktoken/encoders/r50k_base.json') as { bpe_ranks: string };
  const tokens: Uint8Array[] = [];
  for (const line of encoder.bpe_ranks.split('\n')) {
    const [, firstRank, ...encoded] = line.split(' ');
    encoded.forEach((base64, offset) => (tokens[Number(firstRank) + offset] = Buffer.from(base64, 'base64')));
  }
  gpt2 = tokens;
  return gpt2;
}
