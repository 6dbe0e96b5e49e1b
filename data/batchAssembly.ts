// A batch out of blocks of rows: gathered, widened to float32 and scaled in one pass over its numbers, because it stands
// between two steps of training.
import type { RowBlock } from './activationFile.ts';
import { float16Values } from './float16.ts';
import { halfKernel, type HalfKernel } from './halfKernel.ts';
import { lastAtOrBelow } from './readingOrder.ts';

/** Which rows, and how. */
export interface Gathering {
  /** First row of each block when they are laid end to end, and the end. */
  starts: readonly number[];
  /** Rows of the blocks laid end to end. */
  places: Uint32Array;
  /** Numbers in a row. */
  d: number;
  scale: number;
}

/** Writes the rows times `scale` into `vectors` [places · d], and their documents into `documents` [places]. */
export type Assemble = (blocks: readonly RowBlock[], gathering: Gathering, vectors: Float32Array, documents: Int32Array) => void;

/** An Assemble with a table of its own, 256 KB: without a kernel half precision is looked up, as long as the scale stays. */
export function assembler(): Assemble {
  let table = float16Values;
  let tableScale = 1;
  return (blocks, { starts, places, d, scale }, vectors, documents) => {
    const rows = new Uint32Array(2 * places.length);
    for (let index = 0; index < places.length; index++) {
      const at = lastAtOrBelow(starts, places[index]!);
      const row = places[index]! - starts[at]!;
      rows[2 * index] = at;
      rows[2 * index + 1] = row;
      documents[index] = blocks[at]!.documents[row]!;
    }
    const kernel = halfKernel();
    if (kernel !== undefined && widenNatively(kernel, blocks, rows, d, scale, vectors)) return;
    if (scale !== tableScale) {
      // Rounded once, as the product of a widened number and the scale is.
      table = float16Values.map((value) => value * scale);
      tableScale = scale;
    }
    for (let index = 0; index < places.length; index++) {
      const block = blocks[rows[2 * index]!]!.vectors;
      const from = rows[2 * index + 1]! * d;
      if (block instanceof Uint16Array) widen(block, from, table, vectors, index * d, d);
      else copy(block, from, scale, vectors, index * d, d);
    }
  };
}

/** False where the blocks are not all of half precision. */
function widenNatively(kernel: HalfKernel, blocks: readonly RowBlock[], rows: Uint32Array, d: number, scale: number, target: Float32Array): boolean {
  const halfs = blocks.map(({ vectors }) => vectors).filter((vectors) => vectors instanceof Uint16Array);
  if (halfs.length !== blocks.length || rows.length === 0) return false;
  kernel.widen(halfs, rows, d, scale, target);
  return true;
}

function widen(source: Uint16Array, from: number, table: Float32Array, target: Float32Array, at: number, d: number): void {
  for (let i = 0; i < d; i++) target[at + i] = table[source[from + i]!]!;
}

function copy(source: Float32Array, from: number, scale: number, target: Float32Array, at: number, d: number): void {
  for (let i = 0; i < d; i++) target[at + i] = source[from + i]! * scale;
}
