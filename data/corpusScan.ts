// What is learnt by reading a corpus file once: its size, its SHA-256, and how many lines come before places at equal
// distances, so that a shard in the middle of a large file can name its lines. Of files far away it is written down,
// by address and content tag: a schedule that asks every hour must not read a bucket every hour.
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { isRemote, readSource, unreadable, type CorpusSource } from './corpusSource.ts';
import { corpusCacheDir } from './demoCorpus.ts';
import type { Patience } from './patience.ts';

const size = z.int().nonnegative();
const corpusScan = z.strictObject({
  bytes: size,
  sha256: z.string(),
  /** Line feeds before byte lineMarkBytes, 2 · lineMarkBytes, … */
  lineMarks: z.array(size),
});
export type CorpusScan = z.infer<typeof corpusScan>;

/**
 * Reads a file, or finds it read.
 *
 * @param lineMarkBytes Infinity for a file whose lines nobody counts.
 * @throws UserError if it can't be read; ChangedContent, RemoteTrouble as readSource.
 */
export async function scanSource(source: CorpusSource, lineMarkBytes: number, patience: Patience): Promise<CorpusScan> {
  if (!isRemote(source.path) || source.expected === undefined) return scan(source, lineMarkBytes, patience);
  const note = join(corpusCacheDir(), 'scans', `${createHash('sha256').update(JSON.stringify([source.path, source.expected.tag, source.expected.bytes, String(lineMarkBytes)])).digest('hex')}.json`);
  const noted = source.expected.tag === null ? undefined : await readNote(note);
  if (noted !== undefined) return noted;
  const found = await scan(source, lineMarkBytes, patience);
  await writeNote(note, found).catch(() => undefined); // A cache that can't be written costs time, nothing else.
  return found;
}

/** Line feeds in a piece of a file. */
export function countLineFeeds(bytes: Buffer): number {
  let lines = 0;
  for (let at = bytes.indexOf(0x0a); at >= 0; at = bytes.indexOf(0x0a, at + 1)) lines++;
  return lines;
}

async function scan(source: CorpusSource, lineMarkBytes: number, patience: Patience): Promise<CorpusScan> {
  const hash = createHash('sha256');
  const lineMarks: number[] = [];
  let bytes = 0;
  let lines = 0;
  try {
    for await (const chunk of readSource(source, 0, undefined, patience)) {
      hash.update(chunk);
      let counted = 0;
      for (let toMark = lineMarkBytes - (bytes % lineMarkBytes); toMark <= chunk.length; toMark += lineMarkBytes) {
        lines += countLineFeeds(chunk.subarray(counted, toMark));
        lineMarks.push(lines);
        counted = toMark;
      }
      if (lineMarkBytes < Infinity) lines += countLineFeeds(chunk.subarray(counted));
      bytes += chunk.length;
    }
  } catch (cause) {
    throw unreadable(source.path, cause);
  }
  return { bytes, sha256: hash.digest('hex'), lineMarks };
}

async function readNote(note: string): Promise<CorpusScan | undefined> {
  try {
    return corpusScan.parse(JSON.parse(await readFile(note, 'utf8')));
  } catch {
    return undefined;
  }
}

async function writeNote(note: string, found: CorpusScan): Promise<void> {
  await mkdir(join(note, '..'), { recursive: true });
  const partial = `${note}.${randomUUID()}.partial`;
  await writeFile(partial, JSON.stringify(found));
  await rename(partial, note);
}
