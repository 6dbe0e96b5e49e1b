// Small corpora on disk for the tests of documents, shards and token shards.
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll } from 'vitest';
import { resolveCorpusFiles } from '../../data/corpusFiles.ts';
import { planCorpusShards } from '../../data/corpusShards.ts';
import { defaultReadOptions, emptyReadStats, readDocuments } from '../../data/documents.ts';
import type { Document, ReadOptions, ReadStats } from '../../data/documents.ts';

const folders: string[] = [];
afterAll(() => folders.forEach((folder) => rmSync(folder, { recursive: true, force: true })));

/** A new folder with these files; it is deleted after the test file. */
export function corpusFolder(files: Readonly<Record<string, string | Uint8Array>>): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'saeflow-corpus-'));
  folders.push(folder);
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    writeFileSync(path.join(folder, name), content);
  }
  return folder;
}

export interface ReadCorpus {
  readonly documents: Document[];
  readonly stats: ReadStats;
  readonly shards: number;
}

/** All documents of a folder, read shard by shard. */
export async function readCorpus(folder: string, options: Partial<ReadOptions> = {}, shardBytes = 2 ** 20, lineMarkBytes = 2 ** 20): Promise<ReadCorpus> {
  const shards = planCorpusShards(await resolveCorpusFiles(['**/*'], folder, lineMarkBytes), shardBytes);
  const stats = emptyReadStats();
  const documents: Document[] = [];
  for (const shard of shards) {
    for await (const document of readDocuments(shard, { ...defaultReadOptions, ...options }, stats)) documents.push(document);
  }
  return { documents, stats, shards: shards.length };
}

/** Documents as lines of JSON. */
export function jsonLines(rows: readonly unknown[], end = '\n'): string {
  return rows.map((row) => JSON.stringify(row) + end).join('');
}
