// A batch out of blocks of rows: gathered, widened to float32 and scaled in one pass over its numbers, because it stands
// between two steps of training.
import type { RowBlock } from './activationFile.ts';
import { float16Values } from './float16.ts';
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

/** An Assemble with a table of its own, 256 KB: half precision is looked up, as long as the scale stays. */
export function assembler(): Assemble {
  let table = float16Values;
  let tableScale = 1;
  return (blocks, { starts, places, d, scale }, vectors, documents) => {
    if (scale !== tableScale) {
      // Rounded once, as the product of a widened number and the scale is.
      table = float16Values.map((value) => value * scale);
      tableScale = scale;
    }
    for (let index = 0; index < places.length; index++) {
      const place = places[index]!;
      const at = lastAtOrBelow(starts, place);
      const block = blocks[at]!;
      const row = place - starts[at]!;
      documents[index] = block.documents[row]!;
      if (block.vectors instanceof Uint16Array) widen(block.vectors, row * d, table, vectors, index * d, d);
      else copy(block.vectors, row * d, scale, vectors, index * d, d);
    }
  };
}

function widen(source: Uint16Array, from: number, table: Float32Array, target: Float32Array, at: number, d: number): void {
  for (let i = 0; i < d; i++) target[at + i] = table[source[from + i]!]!;
}

function copy(source: Float32Array, from: number, scale: number, target: Float32Array, at: number, d: number): void {
  for (let i = 0; i < d; i++) target[at + i] = source[from + i]! * scale;
}
