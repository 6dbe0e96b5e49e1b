// An activation shard in a store, read a row group at a time: one range holds a row group's vectors and the documents they
// are from. What is read is checked against the CRC-32 that its page carries, so nobody has to read, hash and hold a whole
// shard for a few of its rows.
import type { FileEntry } from '../schemas/artifact.ts';
import { UserError } from '../schemas/errors.ts';
import type { ArtifactId } from '../schemas/stages.ts';
import { bytesPerNumber, footerBytes, integersOf, layoutOf, numbersOf, pageValues, rowsPerGroup, type ActivationDtype } from './activationFormat.ts';
import { artifactPath } from './artifact.ts';
import { NotFoundError, type ArtifactStore } from './artifactStore.ts';

/** Read in the hope that the footer is no longer: it takes some 400 bytes a row group. */
const likelyFooterBytes = 2 ** 16;

/** Values begin on a boundary of so many bytes. */
const alignedBytes = 64;

/** Some rows of a shard. */
export interface RowBlock {
  /** [rows · d]: bits of half precision, or float32. */
  vectors: Uint16Array | Float32Array;
  /** [rows]: row in the document index of all token shards. */
  documents: Int32Array;
  /** The memory that `vectors` lies in: another block may be read into it when this one is needed no more. */
  room?: Uint8Array;
}

/** A shard's file is not there: lost, or deleted when it had been read (activations.retention consume). */
export class AbsentShardError extends UserError {}

interface OpenFile {
  dtype: ActivationDtype;
  /** Bounds of the columns `activation` and `document` in the file, three numbers a row group. */
  bounds: Float64Array;
}

/** One file of a sampleActivations artifact. */
export class ActivationFile {
  readonly rows: number;
  private readonly store: ArtifactStore;
  private readonly path: string;
  private readonly bytes: number;
  private readonly d: number;
  private opened: Promise<OpenFile> | undefined;

  /** `entry`: the file as the artifact's manifest names it; `d`: components of its vectors. Nothing is read yet. */
  constructor(store: ArtifactStore, artifact: ArtifactId, entry: FileEntry, d: number) {
    this.store = store;
    this.path = artifactPath(artifact, entry.path);
    this.bytes = entry.bytes;
    this.rows = entry.rows!;
    this.d = d;
  }

  /**
   * Row group `group`: rows [4,096 · group, …). `room`: that of a block which is needed no more.
   *
   * @throws UserError when the file is missing, damaged, or not what its manifest says.
   */
  async read(group: number, room?: Uint8Array): Promise<RowBlock> {
    try {
      this.opened ??= this.open();
      const { dtype, bounds } = await this.opened;
      const [start, middle, end] = bounds.subarray(3 * group, 3 * group + 3) as unknown as [number, number, number];
      const rows = Math.min(rowsPerGroup, this.rows - group * rowsPerGroup);
      // Read so that the values, behind the page's header, lie well: they need no copy then.
      const headerBytes = middle - start - rows * this.d * bytesPerNumber[dtype];
      const before = Math.max(0, Math.ceil(headerBytes / alignedBytes) * alignedBytes - headerBytes);
      const bytes = before + end - start;
      const memory = room !== undefined && room.length >= bytes ? room : new Uint8Array(bytes + alignedBytes);
      const range = await this.store.range(this.path, start, end - start, memory.subarray(before, bytes));
      const vectors = pageValues(range.subarray(0, middle - start), rows, this.d * bytesPerNumber[dtype]);
      return { vectors: numbersOf(vectors, dtype), documents: integersOf(pageValues(range.subarray(middle - start), rows, 4)), room: memory };
    } catch (error) {
      this.opened = undefined;
      throw this.explain(error, group);
    }
  }

  private async open(): Promise<OpenFile> {
    const likely = Math.min(likelyFooterBytes, this.bytes);
    let end = await this.store.range(this.path, this.bytes - likely, likely);
    const footer = footerBytes(end.subarray(-8), this.bytes);
    if (footer > likely) end = await this.store.range(this.path, this.bytes - footer, footer);
    const { d, dtype, rows, groups } = layoutOf(end.subarray(-footer), this.bytes);
    if (d !== this.d || rows !== this.rows) throw new RangeError(`${rows} vectors of ${d}, where its manifest names ${this.rows} of ${this.d}`);
    return { dtype, bounds: Float64Array.from(groups.flatMap(({ bounds }) => bounds.slice(0, 3))) };
  }

  private explain(error: unknown, group: number): unknown {
    const place = `${this.store.uri}/${this.path}`;
    const remedy = 'Put the file back from a copy, or run saeflow repair, which makes what is damaged anew, and then the same run again.';
    if (error instanceof NotFoundError) return new AbsentShardError(`${place} is missing, though its manifest names it`, remedy, { cause: error });
    // What the layout's and the ranges' checks throw, and hyparquet on a footer that is none; anything else is the store's.
    const isDamage = error instanceof RangeError || error instanceof TypeError || (error instanceof Error && error.constructor === Error && /parquet|thrift/i.test(error.message));
    return isDamage ? new UserError(`${place} is corrupted (row group ${group}): ${(error as Error).message}`, remedy, { cause: error }) : error;
  }
}
