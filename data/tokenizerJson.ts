// A byte-level BPE tokenizer.json of Hugging Face's tokenizers, so that models of the GPT-2 family, or one's own
// vocabulary, can be used. Whatever in it can't be followed exactly is refused by the name of its field.
//
// Texts get the ids of `encode(text, add_special_tokens=False)` with `encode_special_tokens` on: what looks like a
// special token in a document is plain text. post_processor, decoder, truncation and padding have no say in that.
import { z } from 'zod';
import { UserError } from '../schemas/errors.ts';
import { ByteMap } from './byteMap.ts';
import { ByteLevelTokenizer, type Tokenizer, type TokenizerTables } from './byteLevelTokenizer.ts';
import { BytePairMerger, PairTable } from './bytePairs.ts';
import { splitPattern } from './splitPattern.ts';
import { escaped, textCutter } from './textCuts.ts';

const tokenId = z.int().nonnegative().max(2 ** 21 - 1);
const addedToken = z.looseObject({
  id: tokenId,
  content: z.string().min(1),
  special: z.boolean().default(false),
  normalized: z.boolean().default(true),
  single_word: z.boolean().default(false),
  lstrip: z.boolean().default(false),
  rstrip: z.boolean().default(false),
});
const split = z.looseObject({
  type: z.literal('Split'),
  pattern: z.union([z.strictObject({ Regex: z.string().min(1) }), z.strictObject({ String: z.string().min(1) })]),
  behavior: z.literal('Isolated'),
  invert: z.literal(false).default(false),
});
const byteLevel = z.looseObject({ type: z.literal('ByteLevel'), add_prefix_space: z.boolean().default(true), use_regex: z.boolean().default(true) });
const preTokenizer = z.discriminatedUnion('type', [byteLevel, z.looseObject({ type: z.literal('Sequence'), pretokenizers: z.array(z.discriminatedUnion('type', [split, byteLevel])).min(1) })]);
const nfc = z.looseObject({ type: z.literal('NFC') });
const normalizer = z.discriminatedUnion('type', [nfc, z.looseObject({ type: z.literal('Sequence'), normalizers: z.array(nfc) })]);

const tokenizerFile = z.looseObject({
  added_tokens: z.array(addedToken).nullish(),
  normalizer: normalizer.nullish(),
  pre_tokenizer: preTokenizer,
  model: z.looseObject({
    type: z.literal('BPE').default('BPE'),
    vocab: z.unknown(),
    merges: z.array(z.union([z.string(), z.tuple([z.string(), z.string()])])),
    dropout: z.literal(0, { error: 'the same text must get the same ids' }).nullish(),
    continuing_subword_prefix: z.literal('').nullish(),
    end_of_word_suffix: z.literal('').nullish(),
    byte_fallback: z.literal(false, { error: 'fallback to bytes belongs to SentencePiece-like vocabularies, not to byte-level BPE' }).nullish(),
    ignore_merges: z.boolean().nullish(),
  }),
});
type TokenizerFile = z.infer<typeof tokenizerFile>;

const remedy = 'Use the tokenizer.json of a byte-level BPE, such as those of GPT-2, Llama 3 or Qwen.';

/**
 * The tokenizer of a tokenizer.json.
 *
 * @param json the file's text.
 * @param endOfText the name of the token that ends a document.
 * @param source what to call the file in errors.
 * @throws UserError naming the field that is missing, wrong or can't be followed exactly.
 */
export function readTokenizerJson(json: string, endOfText: string, source: string): Tokenizer {
  const refuse = (why: string): never => {
    throw new UserError(`${source}: ${why}`, remedy);
  };
  const parsed = parseFile(json, refuse);
  const vocab = readVocab(parsed.model.vocab, refuse);
  const added = parsed.added_tokens ?? [];
  requireKnownIds(added, vocab, refuse);
  added.forEach((token, index) => {
    const strange = (['single_word', 'lstrip', 'rstrip'] as const).find((name) => token[name]);
    if (!token.special && strange !== undefined) refuse(`added_tokens.${index}.${strange}: true (of ${JSON.stringify(token.content)}) is not supported`);
  });
  const eot = added.find(({ content }) => content === endOfText)?.id ?? vocab.get(endOfText);
  if (eot === undefined) {
    const special = added.filter((token) => token.special).map(({ content }) => content);
    throw new UserError(`tokenize.endOfText: ${source} has no token ${JSON.stringify(endOfText)}`, `Name the one that ends a document${special.length === 0 ? '' : `; its special tokens are ${special.slice(0, 12).join(' ')}`}.`);
  }
  return new ByteLevelTokenizer({ ...mergesOf(parsed, vocab, refuse), ...splitsOf(parsed, source, refuse), tokens: tokenBytesOf(vocab, added, refuse), eot });
}

type Refuse = (why: string) => never;

function parseFile(json: string, refuse: Refuse): TokenizerFile {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    return refuse(`not JSON: ${(error as Error).message}`);
  }
  const parsed = tokenizerFile.safeParse(value, { reportInput: true });
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const got = JSON.stringify(issue.input) ?? 'nothing';
  return refuse(`${issue.path.join('.') || 'the file'}: ${issue.message} (got ${got.length <= 80 ? got : `${got.slice(0, 79)}…`})`);
}

/** By hand: an object's key may be `__proto__`, which schemas leave out. */
function readVocab(vocab: unknown, refuse: Refuse): Map<string, number> {
  if (typeof vocab !== 'object' || vocab === null) return refuse('model.vocab: not an object of tokens and their ids');
  const ids = new Map<string, number>();
  for (const [token, id] of Object.entries(vocab)) {
    if (!tokenId.safeParse(id).success) refuse(`model.vocab: the id of ${JSON.stringify(token)} is ${JSON.stringify(id)}`);
    ids.set(token, id as number);
  }
  return ids;
}

/** The library gives added tokens the next free ids, whatever the file says. */
function requireKnownIds(added: readonly { id: number; content: string }[], vocab: ReadonlyMap<string, number>, refuse: Refuse): void {
  let next = vocab.size;
  added.forEach(({ id, content }, index) => {
    const known = vocab.get(content) ?? next;
    if (id !== known) refuse(`added_tokens.${index}.id: ${id} (of ${JSON.stringify(content)}) where ${known} comes next`);
    next = Math.max(next, id + 1);
  });
}

function mergesOf({ model }: TokenizerFile, vocab: ReadonlyMap<string, number>, refuse: Refuse): Pick<TokenizerTables, 'merger' | 'wholes'> {
  const byteIds = Int32Array.from({ length: 256 }, (_, byte) => vocab.get(characterOfByte[byte]!) ?? refuse(`model.vocab: the byte 0x${byte.toString(16).padStart(2, '0')} (${JSON.stringify(characterOfByte[byte])}) is no token`));
  const pairs = new PairTable(model.merges.length, model.merges.length);
  model.merges.forEach((merge, rank) => {
    const [left, right, more] = typeof merge === 'string' ? merge.split(' ') : merge;
    const ids = [left, right, `${left}${right}`].map((token) => (token === undefined ? undefined : vocab.get(token)));
    if (more !== undefined || ids.includes(undefined)) refuse(`model.merges.${rank}: ${JSON.stringify(merge)} is not two tokens that make a third`);
    pairs.set(ids[0]!, ids[1]!, rank, ids[2]!);
  });
  const merger = new BytePairMerger(pairs, byteIds);
  return model.ignore_merges === true ? { merger, wholes: wholesOf(vocab) } : { merger };
}

function wholesOf(vocab: ReadonlyMap<string, number>): ByteMap {
  const known = [...vocab].flatMap(([token, id]) => {
    const bytes = bytesOf(token);
    return bytes === undefined || bytes.length === 0 ? [] : [{ bytes, id }];
  });
  const wholes = new ByteMap(known.length, known.reduce((sum, { bytes }) => sum + bytes.length, 0));
  for (const { bytes, id } of known) wholes.add(bytes, 0, bytes.length, id);
  return wholes;
}

function splitsOf(parsed: TokenizerFile, source: string, refuse: Refuse): Pick<TokenizerTables, 'gpt2Split'> & { cut?: NonNullable<TokenizerTables['cut']> } {
  const { pre_tokenizer: outer } = parsed;
  const steps = outer.type === 'Sequence' ? outer.pretokenizers : [outer];
  const last = steps.at(-1)!;
  if (last.type !== 'ByteLevel') return refuse(`pre_tokenizer.pretokenizers.${steps.length - 1}.type: the last one must be ByteLevel (got ${last.type})`);
  const splits = steps.slice(0, -1).map((step, index) => {
    const field = `pre_tokenizer.pretokenizers.${index}`;
    if (step.type !== 'Split') return refuse(`${field}.type: only the last one can be ByteLevel`);
    return 'String' in step.pattern ? new RegExp(escaped(step.pattern.String), 'gu') : splitPattern(step.pattern.Regex, `${source}: ${field}.pattern.Regex`);
  });
  const { normalizer: given } = parsed;
  const cut = textCutter({
    named: parsed.added_tokens ?? [],
    nfc: given?.type === 'NFC' || (given?.type === 'Sequence' && given.normalizers.length > 0),
    splits,
    prefixSpace: last.add_prefix_space,
  });
  return { gpt2Split: last.use_regex, ...(cut === undefined ? {} : { cut }) };
}

/** The bytes of each id; none for ids that nothing has. */
function tokenBytesOf(vocab: ReadonlyMap<string, number>, added: readonly { id: number; content: string }[], refuse: Refuse): Uint8Array[] {
  const utf8 = new TextEncoder();
  const named = new Map(added.map(({ id, content }) => [id, utf8.encode(content)]));
  const size = 1 + maximum([...named.keys(), ...vocab.values()]);
  const tokens: Uint8Array[] = Array.from({ length: size }, (_, id) => named.get(id) ?? NO_BYTES);
  for (const [token, id] of vocab) {
    if (!named.has(id)) tokens[id] = bytesOf(token) ?? refuse(`model.vocab: ${JSON.stringify(token)} is no token of byte-level BPE`);
  }
  return tokens;
}

const NO_BYTES = new Uint8Array(0);

/** Math.max takes no hundred thousand arguments. */
function maximum(numbers: readonly number[]): number {
  return numbers.reduce((most, number) => Math.max(most, number), 0);
}

/** The visible character that stands for each byte: itself where it is one, else from U+0100 on, as GPT-2 does it. */
const characterOfByte = visibleBytes();
const byteOfCharacter = new Map(characterOfByte.map((character, byte) => [character, byte]));

function visibleBytes(): string[] {
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => {
    const visible = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    return String.fromCharCode(visible ? byte : next++);
  });
}

/** The bytes of a token as it is written in a vocabulary; undefined if a character stands for none. */
function bytesOf(token: string): Uint8Array | undefined {
  const bytes = Array.from(token, (character) => byteOfCharacter.get(character));
  return bytes.includes(undefined) ? undefined : Uint8Array.from(bytes as number[]);
}
