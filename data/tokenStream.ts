// All tokens of one split of a tokenize artifact as one long row, whatever shards hold it, and the documents they came
// from. Shards are loaded whole, checked against their SHA-256, and kept while they fit the budget.
import type { FileEntry, Manifest } from '../schemas/artifact.ts';
import type { ArtifactStore } from './artifactStore.ts';
import { readVerified } from './artifact.ts';
import { decodeTokens, readDocumentIndex, type DocumentRow, type Split, type TokenArray } from './tokenShard.ts';

const cacheBytes = 4 * 2 ** 30;

interface Piece {
  entry: FileEntry;
  documents: FileEntry;
  start: number;
  length: number;
}

/** Random access to the tokens of one split, read-only. */
export class TokenStream {
  /** Tokens in the split, ends of text included. */
  readonly length: number;
  private readonly store: ArtifactStore;
  private readonly manifest: Manifest;
  private readonly vocabSize: number;
  private readonly pieces: Piece[] = [];
  private readonly cache = new Map<number, TokenArray>();
  private cachedBytes = 0;

  constructor(store: ArtifactStore, manifest: Manifest, split: Split, vocabSize: number) {
    this.store = store;
    this.manifest = manifest;
    this.vocabSize = vocabSize;
    const files = new Map(manifest.files.map((entry) => [entry.path, entry]));
    let start = 0;
    for (const entry of manifest.files.filter((file) => file.path.endsWith(`.${split}.bin`))) {
      const length = entry.rows ?? 0;
      this.pieces.push({ entry, documents: files.get(entry.path.replace(`.${split}.bin`, '.documents.parquet'))!, start, length });
      start += length;
    }
    this.length = start;
  }

  /** Tokens [start, start + length), int32. Throws RangeError outside the stream. */
  async read(start: number, length: number): Promise<Int32Array> {
    if (start < 0 || start + length > this.length) throw new RangeError(`tokens ${start} to ${start + length} of ${this.length}`);
    const out = new Int32Array(length);
    let filled = 0;
    for (let index = lastAtOrBefore(this.pieces, start); filled < length; index++) {
      const piece = this.pieces[index]!;
      const tokens = await this.load(index);
      const from = start + filled - piece.start;
      const take = Math.min(length - filled, piece.length - from);
      out.set(tokens.subarray(from, from + take), filled);
      filled += take;
    }
    return out;
  }

  /** Documents of the split in stream order, `start` counted in the stream. */
  async documents(split: Split): Promise<DocumentRow[]> {
    const rows: DocumentRow[] = [];
    for (const piece of this.pieces) {
      const index = await readDocumentIndex(await readVerified(this.store, { stage: 'tokenize', key: this.manifest.key }, piece.documents));
      for (const row of index) if (row.split === split) rows.push({ ...row, start: row.start + piece.start });
    }
    return rows;
  }

  private async load(index: number): Promise<TokenArray> {
    const cached = this.cache.get(index);
    if (cached !== undefined) return cached;
    const { entry } = this.pieces[index]!;
    const tokens = decodeTokens(await readVerified(this.store, { stage: 'tokenize', key: this.manifest.key }, entry), this.vocabSize);
    while (this.cachedBytes + tokens.byteLength > cacheBytes && this.cache.size > 0) {
      const [oldest, dropped] = this.cache.entries().next().value!;
      this.cache.delete(oldest);
      this.cachedBytes -= dropped.byteLength;
    }
    this.cache.set(index, tokens);
    this.cachedBytes += tokens.byteLength;
    return tokens;
  }
}

/** Index in `documents` of the one that holds a stream position. `documents` ascending by start and gapless. */
export function documentIndexAt(documents: DocumentRow[], position: number): number {
  return lastAtOrBefore(documents, position);
}

/** Index of the last element whose start is at or before `position`; elements ascending by start. */
function lastAtOrBefore(elements: { start: number }[], position: number): number {
  let low = 0;
  let high = elements.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (elements[middle]!.start <= position) low = middle;
    else high = middle - 1;
  }
  return low;
}
