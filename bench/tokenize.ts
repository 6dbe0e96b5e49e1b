// Text to GPT-2's ids on one core, against OpenAI's tiktoken and Hugging Face's tokenizers (both Rust, from Python), on the
// same documents. Each pass begins with an empty cache: what one pass learnt must not help the next.
import { createRequire } from 'node:module';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildDemoCorpus } from '../data/demoCorpus.ts';
import { GPT2_VOCAB_SIZE } from '../data/tokenizer.ts';
import { chosen, failureNotes, withFolder, type Bench, type BenchOutcome, type BenchSettings } from './bench.ts';
import { peersPython, tokenizerPeers } from './peers/setup.ts';
import { compareRates } from './result.ts';
import { alternate, requireSame, type Measured } from './rounds.ts';
import { oursCommand, peerCommand } from './side.ts';

/** Rates are per core: more shards keep more cores busy (docs/concepts.md). */
const threads = 1;
const peers = [
  { name: 'tiktoken', script: 'tokenize_tiktoken', goal: 1 },
  { name: 'tokenizers', script: 'tokenize_huggingface', goal: undefined },
];

export const tokenize: Bench = {
  summary: 'text to GPT-2 tokens on one core against tiktoken and Hugging Face tokenizers: MB/s',
  run: (settings) => withFolder((folder) => run(folder, settings)),
};

interface Text {
  name: string;
  /** JSON lines with a field `text`. */
  read(): Promise<string>;
}

const texts: Text[] = [
  { name: 'the demo corpus', read: async () => readFile((await buildDemoCorpus()).file, 'utf8') },
  { name: 'its code alone', read: async () => demoLines((lang) => lang === 'code') },
  { name: 'its languages without Latin letters', read: async () => demoLines((lang) => nonLatin.has(lang)) },
];
const nonLatin = new Set(['ar', 'bg', 'el', 'he', 'hi', 'ja', 'ko', 'ru', 'th', 'uk', 'zh']);

async function demoLines(keeps: (lang: string) => boolean): Promise<string> {
  const lines = (await readFile((await buildDemoCorpus()).file, 'utf8')).split('\n').filter((line) => line !== '');
  return `${lines.filter((line) => keeps((JSON.parse(line) as { lang: string }).lang)).join('\n')}\n`;
}

async function run(folder: string, { rounds, only, log }: BenchSettings): Promise<BenchOutcome> {
  const python = await peersPython(log, process.env, tokenizerPeers);
  const outcome: BenchOutcome = { cases: [], notes: [`one core on each side; ours has its cache emptied before each pass`], backend: 'plain TypeScript' };
  for (const { name, read } of chosen(await ownTexts(), only)) {
    const file = join(folder, 'texts.jsonl');
    await writeFile(file, await read());
    const options = { file, vocabSize: GPT2_VOCAB_SIZE, ranks: createRequire(import.meta.url).resolve('tiktoken/encoders/r50k_base.json') };
    const commands = [oursCommand('tokenize', options, threads), ...peers.map((peer) => peerCommand(peer.name, python, peer.script, options, threads))];
    const { measured, failures } = await alternate(commands, { rounds, warmups: 2, steps: 1 }, log);
    const [ours, ...others] = measured as [Measured, ...Measured[]];
    outcome.notes.push(...failureNotes(name, failures));
    const { bytes } = ours.values[0]!;
    const rate = ({ ms }: Measured) => bytes! / 1e6 / (ms / 1e3);
    for (const peer of others) {
      for (const value of ['bytes', 'tokens', 'checksum']) requireSame(ours, peer, value, 0);
      const { goal } = peers.find((known) => known.name === peer.name)!;
      const note = `${(bytes! / 1e6).toFixed(1)} MB, peak memory ${megabytesOf(ours)} against ${megabytesOf(peer)}`;
      outcome.cases.push(compareRates(`${name}, against ${peer.name}`, 'MB/s', rate(ours), rate(peer), peer.version, goal === undefined ? { note } : { goal, note }));
    }
  }
  return outcome;
}

/** The demo's texts, and the JSON lines of SAEFLOW_BENCH_CORPUS when it names a file. */
async function ownTexts(): Promise<Text[]> {
  const own = process.env['SAEFLOW_BENCH_CORPUS'];
  return own === undefined ? texts : [...texts, { name: own, read: () => readFile(own, 'utf8') }];
}

function megabytesOf({ peakRssBytes }: Measured): string {
  return `${(peakRssBytes / 1e6).toFixed(0)} MB`;
}
