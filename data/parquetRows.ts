// Rows of a Parquet corpus file, a row group at a time. A file far away is fetched whole and checked where most of it is
// needed; where the wanted columns are the smaller part, or there is no room for it, only their bytes are asked for.
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects, parquetSchema } from 'hyparquet';
import type { AsyncBuffer, FileMetaData } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { UserError } from '../schemas/errors.ts';
import { openCached } from './corpusCache.ts';
import { corpusFileKind } from './corpusFiles.ts';
import { readWhole } from './corpusLines.ts';
import type { CorpusShardPart } from './corpusShards.ts';
import { isRemote, readSource, unreadable } from './corpusSource.ts';
import type { Patience } from './patience.ts';
import { decodeUtf8 } from './strictUtf8.ts';

/** Fields by the setting that names them; `textField` and `idField` must be there. */
export type WantedFields = Readonly<Record<'textField' | 'langField' | 'sourceField', string>> & { readonly idField?: string | undefined };

export interface ParquetRow {
  /** 1-based, in the file. */
  readonly line: number;
  readonly fields: Readonly<Record<string, unknown>>;
}

/**
 * The wanted columns of all rows; a text that is no UTF-8 comes as its bytes.
 *
 * @throws UserError if a column is missing or the file is damaged; ChangedContent, RemoteTrouble as readSource.
 */
export async function* readParquetRows(part: CorpusShardPart, wanted: WantedFields, patience: Patience): AsyncGenerator<ParquetRow> {
  const opened = await openParquet(part, wanted, patience).catch((cause: unknown) => {
    throw unreadable(part.path, cause);
  });
  const { file, metadata, columns } = opened;
  try {
    let rowStart = 0;
    for (const group of metadata.row_groups) {
      const rowEnd = rowStart + Number(group.num_rows);
      const rows = await parquetReadObjects({ file, metadata, columns, rowStart, rowEnd, compressors, parsers: { stringFromBytes } }).catch((cause: unknown) => {
        throw unreadable(part.path, cause);
      });
      for (const [index, row] of rows.entries()) yield { line: rowStart + index + 1, fields: row };
      rowStart = rowEnd;
    }
  } finally {
    await opened.close();
  }
}

interface OpenParquet {
  file: AsyncBuffer;
  metadata: FileMetaData;
  columns: string[];
  close(): Promise<void>;
}

async function openParquet(part: CorpusShardPart, wanted: WantedFields, patience: Patience): Promise<OpenParquet> {
  const isPlain = corpusFileKind(part.path).compression === 'none';
  const far = isPlain && isRemote(part.path) ? part.expected : undefined;
  const file = far === undefined ? await nearBuffer(part, isPlain, patience) : rangeBuffer(part, far.bytes, patience);
  const metadata = await parquetMetadataAsync(file);
  const columns = wantedColumns(part.name, metadata, wanted);
  const cached = far !== undefined && columnBytes(metadata, columns) > far.bytes / 2 ? await openCached(part, patience) : undefined;
  if (cached === undefined) return { file, metadata, columns, close: () => Promise.resolve() };
  const slice = async (start: number, end = file.byteLength) => {
    const bytes = new Uint8Array(end - start);
    const { bytesRead } = await cached.read(bytes, 0, bytes.length, start);
    if (bytesRead < bytes.length) throw new Error(`the cached copy ends at byte ${start + bytesRead}`);
    return bytes.buffer;
  };
  return { file: { byteLength: file.byteLength, slice }, metadata, columns, close: () => cached.close() };
}

async function nearBuffer(part: CorpusShardPart, isPlain: boolean, patience: Patience): Promise<AsyncBuffer> {
  if (!isPlain) return new Uint8Array(await readWhole(part, patience)).buffer;
  // Read here and there, it can't be checked on the way; one pass before costs a hundredth of tokenizing it.
  if (part.expected !== undefined) for await (const chunk of readSource(part, 0, undefined, patience)) void chunk;
  return asyncBufferFromFile(part.path);
}

function rangeBuffer(part: CorpusShardPart, byteLength: number, patience: Patience): AsyncBuffer {
  const slice = async (start: number, end = byteLength) => {
    const bytes = new Uint8Array(end - start);
    let at = 0;
    for await (const chunk of readSource(part, start, end, patience)) {
      bytes.set(chunk, at);
      at += chunk.length;
    }
    return bytes.buffer;
  };
  return { byteLength, slice };
}

function wantedColumns(name: string, metadata: FileMetaData, { textField, idField, langField, sourceField }: WantedFields): string[] {
  const columns = parquetSchema(metadata).children.map((child) => child.element.name);
  for (const [setting, field] of [['textField', textField], ['idField', idField]] as const) {
    if (field !== undefined && !columns.includes(field)) {
      throw new UserError(`${name}: no column "${field}"; its columns are ${columns.join(', ')}`, `Set corpus.${setting} to one of them.`);
    }
  }
  return columns.filter((column) => [textField, idField, langField, sourceField].includes(column));
}

/** As stored, in all row groups. */
function columnBytes({ row_groups: groups }: FileMetaData, columns: readonly string[]): number {
  const chunks = groups.flatMap((group) => group.columns).filter(({ meta_data: chunk }) => chunk !== undefined && columns.includes(chunk.path_in_schema[0] as string));
  return chunks.reduce((sum, { meta_data: chunk }) => sum + Number(chunk?.total_compressed_size ?? 0), 0);
}

/** hyparquet would put U+FFFD in place of broken bytes; left as bytes, they are told as a bad row. */
function stringFromBytes(bytes: Uint8Array): string | Uint8Array {
  const text = decodeUtf8(bytes, 0);
  return typeof text === 'string' ? text : bytes;
}
