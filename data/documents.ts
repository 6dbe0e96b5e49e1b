// Documents out of anyone's corpus files, streamed. A broken line never passes silently: it is counted, sampled
// with file and line, and, above the share that the configuration allows, refuses the shard.

import { createHash } from 'node:crypto';
import { UserError } from '../schemas/errors.ts';
import { flawOf, noteBadLine, refuseIfBad, type BadLineCount, type Flaw } from './badLines.ts';
import { corpusFileKind } from './corpusFiles.ts';
import { readLines, readWhole } from './corpusLines.ts';
import type { CorpusShard, CorpusShardPart } from './corpusShards.ts';
import { readParquetRows } from './parquetRows.ts';
import { defaultPatience, type Patience } from './patience.ts';
import { decodeUtf8 } from './strictUtf8.ts';

export interface Document {
  /** The id field's value, or the first 16 hexadecimal digits of the text's SHA-256: the same however the corpus is cut. */
  readonly id: string;
  readonly text: string;
  /** Language label, '' if the corpus has none. */
  readonly lang: string;
  readonly source: string;
  /** Provenance name of the corpus file. */
  readonly file: string;
  /** 1-based; the row of a Parquet file, 1 in a text file. */
  readonly line: number;
}

export interface ReadOptions {
  readonly textField: string;
  /** Absent: ids are made of the text. */
  readonly idField?: string | undefined;
  readonly langField: string;
  readonly sourceField: string;
  /** Share of a shard's lines that may be bad, 0 to 1. */
  readonly maxBadFraction: number;
  /** With files far away. */
  readonly patience?: Patience;
}

export const defaultReadOptions: ReadOptions = { textField: 'text', langField: 'lang', sourceField: 'source', maxBadFraction: 0 };

/** What a shard's reading met, filled in as it goes on. */
export type ReadStats = BadLineCount;

export function emptyReadStats(): ReadStats {
  return { documents: 0, empty: 0, bad: 0, samples: [] };
}

/**
 * The documents of one shard, in order.
 *
 * @param stats filled in while reading.
 * @throws UserError at the shard's end if more lines are bad than maxBadFraction allows; at once if a file can't be
 * read, or a Parquet file has no such column. ChangedContent or RemoteTrouble for a file far away that is no longer
 * the same or can't be reached for long.
 * @example
 * for await (const { text } of readDocuments(shard, defaultReadOptions)) console.log(text.length);
 */
export async function* readDocuments(shard: CorpusShard, options: ReadOptions, stats: ReadStats = emptyReadStats()): AsyncGenerator<Document> {
  for (const part of shard.parts) {
    for await (const entry of readEntries(part, options)) {
      const read = entry.flaw === undefined ? toDocument(entry.fields, options, part.name, entry.line) : entry.flaw;
      if ('reason' in read) noteBadLine(stats, part.name, entry.line, read);
      else if (read.text === '') stats.empty++;
      else {
        stats.documents++;
        yield read;
      }
    }
  }
  refuseIfBad(stats, options.maxBadFraction);
}

/**
 * @param documents found in all shards.
 * @throws UserError if there are none.
 */
export function requireDocuments(documents: number, files: readonly { readonly name: string }[]): void {
  if (documents > 0) return;
  const names = files.slice(0, NAMED_FILES).map((file) => file.name);
  throw new UserError(`the corpus holds no documents: ${files.length} files (${names.join(', ')}) without any text`, 'Name files that hold text in corpus.paths, and the field that holds it in corpus.textField.');
}

const NAMED_FILES = 5;

/** One line, row or text file: its fields, or what is wrong with it. */
type Entry = { readonly line: number; readonly fields: Fields; readonly flaw?: undefined } | { readonly line: number; readonly flaw: Flaw };
type Fields = Readonly<Record<string, unknown>>;

function readEntries(part: CorpusShardPart, options: ReadOptions): AsyncGenerator<Entry> {
  const { format } = corpusFileKind(part.path);
  const patience = options.patience ?? defaultPatience;
  if (format === 'jsonl') return readJsonLines(part, patience);
  return format === 'txt' ? readTextFile(part, options.textField, patience) : readParquetRows(part, options, patience);
}

async function* readJsonLines(part: CorpusShardPart, patience: Patience): AsyncGenerator<Entry> {
  for await (const lines of readLines(part, patience)) {
    for (const { bytes, number, offset } of lines) {
      const parsed = parseJsonLine(bytes, offset);
      if (parsed !== undefined) yield { line: number, ...parsed };
    }
  }
}

function parseJsonLine(bytes: Uint8Array, offset: number): { fields: Fields } | { flaw: Flaw } | undefined {
  const text = decodeUtf8(bytes, offset);
  if (typeof text !== 'string') return { flaw: flawOf(text.problem, bytes) };
  if (text.trim() === '') return undefined;
  try {
    const value = JSON.parse(text) as unknown;
    return isFields(value) ? { fields: value } : { flaw: flawOf(`not a JSON object but ${Array.isArray(value) ? 'an array' : shorten(text)}`, text) };
  } catch (error) {
    return { flaw: flawOf(`not JSON: ${shorten((error as SyntaxError).message)}`, text) };
  }
}

async function* readTextFile(part: CorpusShardPart, textField: string, patience: Patience): AsyncGenerator<Entry> {
  const bytes = await readWhole(part, patience);
  const text = decodeUtf8(bytes, 0);
  yield typeof text === 'string' ? { line: 1, fields: { [textField]: text.replaceAll('\r\n', '\n') } } : { line: 1, flaw: flawOf(text.problem, bytes) };
}

/** The document, or what is wrong with the fields. */
function toDocument(fields: Fields, options: ReadOptions, file: string, line: number): Document | Flaw {
  const { textField, idField, langField, sourceField } = options;
  const text = fields[textField];
  if (typeof text !== 'string') return flawOf(describeField(fields, textField, 'a string'), fields);
  const half = /\p{Surrogate}/u.exec(text);
  if (half !== null) return flawOf(`field "${textField}" holds half a surrogate pair at character ${half.index}, which is no Unicode text`, text);
  const id = idField === undefined ? createHash('sha256').update(text).digest('hex').slice(0, 16) : fields[idField];
  if (!isId(id)) return flawOf(describeField(fields, idField as string, 'a string or number'), fields);
  return { id: String(id), text, lang: label(fields[langField]), source: label(fields[sourceField]), file, line };
}

function isId(value: unknown): value is string | number | bigint {
  return (typeof value === 'string' && value !== '') || typeof value === 'number' || typeof value === 'bigint';
}

function label(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}

function describeField(fields: Fields, field: string, wanted: string): string {
  const value = fields[field];
  if (value instanceof Uint8Array) {
    const decoded = decodeUtf8(value, 0);
    return `field "${field}": ${typeof decoded === 'string' ? 'bytes, not text' : decoded.problem}`;
  }
  if (value === undefined) return `no field "${field}"; its fields are ${shorten(Object.keys(fields).join(', ') || 'none')}`;
  return `field "${field}" is not ${wanted} but ${shorten(JSON.stringify(value, (_, inner: unknown) => (typeof inner === 'bigint' ? String(inner) : inner)))}`;
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function shorten(text: string): string {
  return text.length <= 100 ? text : `${text.slice(0, 99)}…`;
}
