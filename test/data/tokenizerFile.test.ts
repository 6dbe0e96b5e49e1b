// How an imported tokenizer's file is found, keyed by its content and kept with what was made from it: up to the
// vocabulary that a dashboard shows.
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { specKey } from '../../data/artifact.ts';
import { openStore, type ArtifactStore } from '../../data/artifactStore.ts';
import { configHash } from '../../data/configHash.ts';
import { resolveCorpusFiles } from '../../data/corpusFiles.ts';
import { corpusPath } from '../../data/plans.ts';
import { createTokenizer } from '../../data/tokenizer.ts';
import { openTokenizer, resolveTokenizer } from '../../data/tokenizerFile.ts';
import { resolveInput } from '../../presets/resolve.ts';
import { corpusConfig, tokenizeConfig, type TokenizeConfig } from '../../schemas/config.ts';
import { UserError } from '../../schemas/errors.ts';
import type { SpecOf } from '../../schemas/stages.ts';
import { openTokens } from '../../stages/artifacts.ts';
import { runStage } from '../../stages/inProcess.ts';
import { smallTokenizer } from './tokenizerFixtures.ts';

const json = JSON.stringify(smallTokenizer());
const sha256 = createHash('sha256').update(json).digest('hex');
const corpus = 'c'.repeat(64);
let folder: string;
let file: string;
let store: ArtifactStore;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'saeflow-tokenizer-'));
  file = join(folder, 'mine.json');
  store = openStore(join(folder, 'store'));
  await writeFile(file, json);
  const lines = Array.from({ length: 60 }, (_, index) => JSON.stringify({ text: `Satz ${index}: two Größe, 日本語.`, id: String(index) }));
  await writeFile(join(folder, 'corpus.jsonl'), `${lines.join('\n')}\n`);
  await store.put(corpusPath(corpus), Buffer.from(JSON.stringify(await resolveCorpusFiles([join(folder, 'corpus.jsonl')], folder))));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const configOf = (tokenizer: unknown, more: object = {}) => tokenizeConfig.parse({ tokenizer, heldOutFraction: 0.3, ...more });
const specOf = (tokenize: TokenizeConfig): SpecOf<'tokenize'> => ({ stage: 'tokenize', config: { corpus: corpusConfig.parse({}), tokenize }, inputs: { corpus } });
const resolved = (tokenizer: unknown, more: object = {}) => resolveTokenizer(store, configOf(tokenizer, more), folder);

describe('an imported tokenizer', () => {
  it('is named by a path, relative or not, or by a URI, and brings its hash, its ids and its end of text', async () => {
    for (const name of ['mine.json', file, pathToFileURL(file).href]) {
      expect(await resolved(name)).toMatchObject({ tokenizer: { file: name, sha256 }, vocabSize: 701, endOfText: '<|endoftext|>' });
    }
    expect(await resolved({ file, sha256 }, { vocabSize: 8_192 })).toMatchObject({ vocabSize: 701 });
  });

  it('keys what is made by its content, not by its place', async () => {
    await writeFile(join(folder, 'elsewhere.json'), json);
    await writeFile(join(folder, 'other.json'), json.replace('"Ġtwo"', '"Ġtoo"'));
    const keys = await Promise.all(['mine.json', 'elsewhere.json', 'other.json'].map(async (name) => specKey(specOf(await resolved(name)))));
    expect(keys[1]).toBe(keys[0]);
    expect(keys[2]).not.toBe(keys[0]);
    const hash = (name: string) => configHash(resolveInput({ preset: 'tiny', tokenize: { tokenizer: name } }));
    expect(hash('a.json')).not.toBe(hash('b.json'));
  });

  it('goes with its token shards, which it decodes though the file is gone', async () => {
    await writeFile(join(folder, 'gone.json'), json);
    const tokenize = await resolved('gone.json');
    await rm(join(folder, 'gone.json'));
    const { artifact } = await runStage(store, specOf(tokenize));
    const { tokens, vocabSize, manifest } = await openTokens(store, artifact.key, 'train');
    expect(vocabSize).toBe(701);
    expect(manifest.files.find(({ path }) => path === 'tokenizer.json')).toMatchObject({ sha256, bytes: Buffer.byteLength(json) });
    const tokenizer = await openTokenizer(store, manifest, tokenize);
    const texts = tokenizer.decode(await tokens.read(0, tokens.length)).split('<|endoftext|>');
    expect(texts.length).toBeGreaterThan(20);
    expect(texts.slice(0, -1).every((text) => /^Satz \d+: two Größe, 日本語\.$/.test(text))).toBe(true);
  });

  it('is refused when its copy was damaged, or its file is missing or another', async () => {
    const tokenize = await resolved('mine.json');
    const id = { stage: 'tokenize' as const, key: 'd'.repeat(64) };
    await expect(openTokenizer(store, id, tokenize)).rejects.toThrow(/tokenizer\.json is missing/);
    await store.put(`tokenize/${id.key}/tokenizer.json`, Buffer.from(json.replace('Ġtwo', 'Ġtoo')));
    await expect(openTokenizer(store, id, tokenize)).rejects.toThrow(/is corrupted: SHA-256/);
    await expect(resolved('nowhere.json')).rejects.toThrow(/^tokenize\.tokenizer: nowhere\.json can't be read/);
    await expect(resolved({ file, sha256: 'e'.repeat(64) })).rejects.toThrow(/^tokenize\.tokenizer\.sha256: .* has SHA-256/);
    await expect(runStage(store, specOf(configOf('mine.json')))).rejects.toThrow(/tokenize\.tokenizer\.sha256 is missing/);
  });
});

describe('the configuration', () => {
  it('takes GPT-2 with no new field in its key', async () => {
    const config = configOf('gpt2');
    expect(await resolved('gpt2')).toEqual(config);
    expect(Object.keys(config).sort()).toEqual(['heldOutFraction', 'shardBytes', 'splitSeed', 'tokenizer', 'vocabSize']);
    const opened = await openTokenizer(store, { stage: 'tokenize', key: corpus }, { ...config, vocabSize: 300 });
    expect(opened.encode('über')).toEqual(createTokenizer(300).encode('über'));
  });

  it.each([
    [{ tokenizer: 'gpt-2' }, /tokenize\.tokenizer: use gpt2, or the path of a tokenizer\.json/],
    [{ vocabSize: 60_000 }, /tokenize\.vocabSize: GPT-2 has 50257 ids: use that or fewer \(got 60000\)/],
    [{ endOfText: '<end>' }, /tokenize\.endOfText: GPT-2 has its own/],
  ])('%j is refused', (tokenize, message) => {
    expect(() => resolveInput({ preset: 'tiny', tokenize })).toThrow(UserError);
    expect(() => resolveInput({ preset: 'tiny', tokenize })).toThrow(message);
  });
});
