// GPT-2's byte-level BPE, token for token what OpenAI's tiktoken gives (test/oracle/tokenizer.json), several times as
// fast in plain TypeScript as tiktoken's own WebAssembly build. Its ranks come from the tiktoken package.
// A vocabulary cut to the N lowest merges is itself a valid BPE; the demo uses 8,192 tokens.

import { createRequire } from 'node:module';
import { UserError } from '../schemas/errors.ts';
import { ABSENT, ByteMap } from './byteMap.ts';
import { ByteLevelTokenizer, type Tokenizer, type TokenizerTables } from './byteLevelTokenizer.ts';
import { BytePairMerger, PairTable } from './bytePairs.ts';

export type { Tokenizer } from './byteLevelTokenizer.ts';

/** GPT-2's vocabulary, end of text included. */
export const GPT2_VOCAB_SIZE = 50_257;
/** 256 bytes and the end of text: no merges at all. */
export const SMALLEST_VOCAB_SIZE = 257;
export const END_OF_TEXT = '<|endoftext|>';

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

/**
 * The tables of tokens in the order of their ranks, as tiktoken uses them: a piece that is a token stays whole, and two
 * neighbours become one if their bytes together are a token, whichever merge made it.
 */
export function tablesOf(ranked: readonly Uint8Array[]): TokenizerTables {
  const wholes = new ByteMap(ranked.length, ranked.reduce((sum, { length }) => sum + length, 0));
  ranked.forEach((bytes, id) => wholes.add(bytes, 0, bytes.length, id));
  const pairs: [left: number, right: number, id: number][] = [];
  ranked.forEach((bytes, id) => {
    for (let cut = 1; cut < bytes.length; cut++) {
      const left = wholes.get(bytes, 0, cut);
      if (left === ABSENT) continue;
      const right = wholes.get(bytes, cut, bytes.length);
      if (right !== ABSENT) pairs.push([left, right, id]);
    }
  });
  const table = new PairTable(pairs.length, ranked.length);
  for (const [left, right, id] of pairs) table.set(left, right, id, id);
  const byteIds = Int32Array.from({ length: 256 }, (_, byte) => wholes.get(Uint8Array.of(byte), 0, 1));
  return { tokens: [...ranked, new TextEncoder().encode(END_OF_TEXT)], eot: ranked.length, merger: new BytePairMerger(table, byteIds), wholes, gpt2Split: true };
}

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
