// tokenizer.json files for tests: a small one that Hugging Face's library trained, and GPT-2's, made from its ranks.
import { readFileSync } from 'node:fs';
import { createTokenizer } from '../../data/tokenizer.ts';

export type TokenizerJson = Record<string, unknown>;

/** 702 tokens with the end of text first (test/oracle/tokenizer_json.py). */
export function smallTokenizer(): TokenizerJson {
  return JSON.parse(readFileSync(new URL('../oracle/tokenizerSmall.json', import.meta.url), 'utf8')) as TokenizerJson;
}

/** The file with other values at some paths ("model.dropout"). */
export function patched(file: TokenizerJson, patch: Record<string, unknown>): TokenizerJson {
  for (const [path, value] of Object.entries(patch)) {
    const parents = path.split('.');
    const name = parents.pop()!;
    const place = parents.reduce((inner, parent) => inner[parent] as TokenizerJson, file);
    place[name] = value;
  }
  return file;
}

/** What `transformers` saves for GPT-2: its merges from the ranks, each token's bytes merged by the ranks below its own. */
export function gpt2TokenizerJson(): TokenizerJson {
  const tokenizer = createTokenizer(50_257);
  const tokens = Array.from({ length: tokenizer.eot }, (_, id) => Buffer.from(tokenizer.tokenBytes(id)));
  const ranks = new Map(tokens.map((bytes, id) => [bytes.toString('latin1'), id]));
  const merges = tokens.filter(({ length }) => length > 1).map((bytes) => partsOf(bytes.toString('latin1'), ranks).map(byteLevel).join(' '));
  const vocab = Object.fromEntries([...tokens.map((bytes, id) => [byteLevel(bytes.toString('latin1')), id] as const), ['<|endoftext|>', tokenizer.eot] as const]);
  return {
    version: '1.0',
    added_tokens: [{ id: tokenizer.eot, content: '<|endoftext|>', single_word: false, lstrip: false, rstrip: false, normalized: true, special: true }],
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true },
    post_processor: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: false },
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true },
    model: { dropout: null, unk_token: null, continuing_subword_prefix: '', end_of_word_suffix: '', fuse_unk: false, vocab, merges },
  };
}

function partsOf(token: string, ranks: ReadonlyMap<string, number>): string[] {
  const parts = [...token];
  const own = ranks.get(token)!;
  while (parts.length > 2) {
    const candidates = parts.slice(1).map((right, at) => ({ at, rank: ranks.get(parts[at]! + right) ?? Infinity }));
    const best = candidates.reduce((a, b) => (b.rank < a.rank ? b : a));
    if (best.rank >= own) throw new Error(`no two tokens make ${JSON.stringify(token)}`);
    parts.splice(best.at, 2, parts[best.at]! + parts[best.at + 1]!);
  }
  return parts;
}

/** GPT-2's visible character for each byte. */
function byteLevel(bytes: string): string {
  return [...bytes].map((byte) => characters[byte.charCodeAt(0)]).join('');
}

const isVisible = (byte: number) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
const hidden = Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => !isVisible(byte));
const characters = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(isVisible(byte) ? byte : 256 + hidden.indexOf(byte)));
