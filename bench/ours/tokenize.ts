// Our side of tokenizing: all texts of a JSON-lines file, one after the other, by a tokenizer that has seen nothing yet.
// Argument: {file, vocabSize}.
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { createTokenizer } from '../../data/tokenizer.ts';
import { serve } from './serve.ts';

const { file, vocabSize } = z.object({ file: z.string(), vocabSize: z.int() }).parse(JSON.parse(process.argv[2]!));
const texts = readFileSync(file, 'utf8').split('\n').filter((line) => line !== '').map((line) => (JSON.parse(line) as { text: string }).text);
const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
const checksum = checksumOf(createTokenizer(vocabSize));

await serve({ version: `Node ${process.versions.node}`, threads: 1 }, () => {
  const tokenizer = createTokenizer(vocabSize);
  const tokens = texts.reduce((sum, text) => sum + tokenizer.encode(text).length, 0);
  return { values: { bytes, tokens, checksum } };
});

/** Of all ids and their places in their texts; the peers compute the same. Exact in a double. */
function checksumOf(tokenizer: ReturnType<typeof createTokenizer>): number {
  let sum = 0;
  for (const text of texts) tokenizer.encode(text).forEach((id, place) => (sum += id * (1 + (place % 1_009))));
  return sum;
}
