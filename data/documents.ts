// Documents out of anyone's corpus files, streamed. A broken line never passes silently: it is counted, sampled
// with file and line, and, above the share that the configuration allows, refuses the shard.

import { createHash } from 'node:crypto';
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects, parquetSchema } from 'hyparquet';
import type { AsyncBuffer, FileMetaData } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { UserError } from '../schemas/errors.ts';
import { corpusFileKind, unreadable } from './corpusFiles.ts';
import { documentTooLong, MAX_DOCUMENT_BYTES, readBytes, readLines } from './corpusLines.ts';
import type { CorpusShard, CorpusShardPart } from './corpusShards.ts';

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
}

export const defaultReadOptions: ReadOptions = { textField: 'text', langField: 'lang', sourceField: 'source', maxBadFraction: 0 };

/** What a shard's reading met, filled in as it goes on. */
export interface ReadStats {
  documents: number;
  /** Documents without a single character: passed over. */
  empty: number;
  bad: number;
  /** The first five bad lines: "file:line: what". */
  samples: string[];
}

export function emptyReadStats(): ReadStats {
  return { documents: 0, empty: 0, bad: 0, samples: [] };
}

/**
 * The documents of one shard, in order.
 *
 * @param stats filled in while reading.
 * @throws UserError at the shard's end if more lines are bad than maxBadFraction allows; at once if a file can't be
 * read, or a Parquet file has no such column.
 * @example
 * for await (const { text } of readDocuments(shard, defaultReadOptions)) console.log(text.length);
 */
export async function* readDocuments(shard: CorpusShard, options: ReadOptions, stats: ReadStats = emptyReadStats()): AsyncGenerator<Document> {
  for (const part of shard.parts) {
    for await (const entry of readEntries(part, options)) {
      const document = typeof entry.fields === 'string' ? entry.fields : toDocument(entry.fields, options, part.name, entry.line);
      if (typeof document === 'string') {
        stats.bad++;
        if (stats.samples.length < SAMPLES) stats.samples.push(`${part.name}:${entry.line}: ${document}`);
      } else if (document.text === '') stats.empty++;
      else {
        stats.documents++;
        yield document;
      }
    }
  }
  refuseIfBad(stats, options);
}

/**
 * @param documents found in all shards.
 * @throws UserError if there are none.
 */
export function requireDocuments(documents: number, files: readonly { readonly name: string }[]): void {
  if (documents > 0) return;
  const names = files.slice(0, SAMPLES).map((file) => file.name);
  throw new UserError(`the corpus holds no documents: ${files.length} files (${names.join(', ')}) without any text`, 'Name files that hold text in corpus.paths, and the field that holds it in corpus.textField.');
}

const SAMPLES = 5;

/** One line, row or text file: its fields, or a string that says what is wrong with it. */
interface Entry {
  readonly line: number;
  readonly fields: Fields | string;
}
type Fields = Readonly<Record<string, unknown>>;

function readEntries(part: CorpusShardPart, options: ReadOptions): AsyncGenerator<Entry> {
  const { format } = corpusFileKind(part.path);
  if (format === 'jsonl') return readJsonLines(part);
  return format === 'txt' ? readTextFile(part, options) : readParquet(part, options);
}

async function* readJsonLines(part: CorpusShardPart): AsyncGenerator<Entry> {
  for await (const lines of readLines(part)) {
    for (const { bytes, number, offset } of lines) {
      const fields = parseJsonLine(bytes, offset);
      if (fields !== undefined) yield { line: number, fields };
    }
  }
}

function parseJsonLine(bytes: Uint8Array, offset: number): Fields | string | undefined {
  const text = decodeUtf8(bytes, offset);
  if (typeof text !== 'string') return text.problem;
  if (text.trim() === '') return undefined;
  try {
    const value = JSON.parse(text) as unknown;
    return isFields(value) ? value : `not a JSON object but ${Array.isArray(value) ? 'an array' : shorten(text)}`;
  } catch (error) {
    return `not JSON: ${shorten((error as SyntaxError).message)}`;
  }
}

async function* readTextFile(part: CorpusShardPart, { textField }: ReadOptions): AsyncGenerator<Entry> {
  const bytes = await readWhole(part);
  const text = decodeUtf8(bytes, 0);
  yield { line: 1, fields: typeof text === 'string' ? { [textField]: text.replaceAll('\r\n', '\n') } : text.problem };
}

async function* readParquet(part: CorpusShardPart, { textField, idField, langField, sourceField }: ReadOptions): AsyncGenerator<Entry> {
  const { file, metadata } = await openParquet(part);
  const columns = parquetSchema(metadata).children.map((child) => child.element.name);
  for (const [setting, field] of [['textField', textField], ['idField', idField]] as const) {
    if (field !== undefined && !columns.includes(field)) {
      throw new UserError(`${part.name}: no column "${field}"; its columns are ${columns.join(', ')}`, `Set corpus.${setting} to one of them.`);
    }
  }
  const wanted = columns.filter((column) => [textField, idField, langField, sourceField].includes(column));
  let rowStart = 0;
  for (const group of metadata.row_groups) {
    const rowEnd = rowStart + Number(group.num_rows);
    const rows = await parquetReadObjects({ file, metadata, columns: wanted, rowStart, rowEnd, compressors, parsers: { stringFromBytes } }).catch((cause: unknown) => {
      throw unreadable(part.path, cause);
    });
    for (const [index, row] of rows.entries()) yield { line: rowStart + index + 1, fields: row };
    rowStart = rowEnd;
  }
}

async function openParquet(part: CorpusShardPart): Promise<{ file: AsyncBuffer; metadata: FileMetaData }> {
  try {
    const isPlain = corpusFileKind(part.path).compression === 'none';
    const file = isPlain ? await asyncBufferFromFile(part.path) : new Uint8Array(await readWhole(part)).buffer;
    return { file, metadata: await parquetMetadataAsync(file) };
  } catch (cause) {
    throw cause instanceof UserError ? cause : unreadable(part.path, cause);
  }
}

async function readWhole(part: CorpusShardPart): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of readBytes(part.path)) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > MAX_DOCUMENT_BYTES) throw documentTooLong(part.name);
  }
  return Buffer.concat(chunks, length);
}

/** The document, or what is wrong with the fields. */
function toDocument(fields: Fields, options: ReadOptions, file: string, line: number): Document | string {
  const { textField, idField, langField, sourceField } = options;
  const text = fields[textField];
  if (typeof text !== 'string') return describeField(fields, textField, 'a string');
  const half = /\p{Surrogate}/u.exec(text);
  if (half !== null) return `field "${textField}" holds half a surrogate pair at character ${half.index}, which is no Unicode text`;
  const id = idField === undefined ? createHash('sha256').update(text).digest('hex').slice(0, 16) : fields[idField];
  if (!isId(id)) return describeField(fields, idField as string, 'a string or number');
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

const strictUtf8 = new TextDecoder('utf-8', { fatal: true });

/** The text without a byte-order mark, or where it stops being UTF-8 (`offset`: of the first byte in the file). */
function decodeUtf8(bytes: Uint8Array, offset: number): string | { problem: string } {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    const at = firstInvalidByte(bytes);
    const byte = (bytes[at] as number).toString(16).toUpperCase().padStart(2, '0');
    return { problem: `invalid UTF-8 at byte offset ${offset + at} (0x${byte})` };
  }
}

/** Offset of the first byte of the first broken character. */
function firstInvalidByte(bytes: Uint8Array): number {
  // Whether a prefix decodes when it may end inside a character is monotonous in its length: bisect.
  let valid = 0;
  let invalid = bytes.length + 1;
  while (invalid - valid > 1) {
    const middle = (valid + invalid) >> 1;
    if (middle <= bytes.length && decodes(bytes.subarray(0, middle), true)) valid = middle;
    else invalid = middle;
  }
  while (!decodes(bytes.subarray(0, valid), false)) valid--;
  return valid;
}

function decodes(bytes: Uint8Array, mayEndInsideCharacter: boolean): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: mayEndInsideCharacter });
    return true;
  } catch {
    return false;
  }
}

/** hyparquet would put U+FFFD in place of broken bytes; left as bytes, they are told as a bad row. */
function stringFromBytes(bytes: Uint8Array): string | Uint8Array {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return bytes;
  }
}

function refuseIfBad({ documents, empty, bad, samples }: ReadStats, { maxBadFraction }: ReadOptions): void {
  const total = documents + empty + bad;
  if (bad === 0 || bad / total <= maxBadFraction) return;
  throw new UserError(
    `${bad} of ${total} lines are bad, more than corpus.maxBadFraction ${maxBadFraction} allows:\n${samples.map((sample) => `  ${sample}`).join('\n')}`,
    `Mend or delete these lines, or let them be left out: corpus.maxBadFraction ${Number((bad / total).toPrecision(2))} or a little more. If the text is in another field, name it in corpus.textField.`,
  );
}

function shorten(text: string): string {
  return text.length <= 100 ? text : `${text.slice(0, 99)}…`;
}
