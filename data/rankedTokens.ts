// A tokenizer from nothing but its tokens in the order of their ranks, as tiktoken has it. Free of Node: the dashboard's
// page has the tokens anyway, and tokenizes what its reader types with the tables that are made of them here.
import { ABSENT, ByteMap } from './byteMap.ts';
import type { TokenizerTables } from './byteLevelTokenizer.ts';
import { BytePairMerger, PairTable } from './bytePairs.ts';

export const END_OF_TEXT = '<|endoftext|>';

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
