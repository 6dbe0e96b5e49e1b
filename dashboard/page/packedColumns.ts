// Reads the index's columns from their binary files (data/packedIndex.ts writes them). The columns of the first view come
// at once; effects and probes when they are shown, since 131,072 features of them are another 1.7 MB.
import { fromFloat16 } from '../../data/float16.ts';
import type { FeatureIndex, PackedColumn } from '../../schemas/dashboard.ts';

/** Columns without which the table shows nothing. */
export const firstColumns = ['density', 'maxActivation', 'topToken', 'topLang', 'topLangShare', 'topExamples'] as const;
/** Columns that may arrive later, together. */
export const lateColumns = ['ablation', 'lossShare', 'probe', 'probeF1'] as const;
export type LateColumn = (typeof lateColumns)[number];

type Numbers = Exclude<keyof FeatureIndex, 'features' | 'topLang'>;

/** The index in memory; late columns are absent until they were asked for. */
export type IndexTable = { features: number; topLang: readonly string[] } & Record<Exclude<Numbers, LateColumn>, ArrayLike<number>> & Partial<Record<LateColumn, ArrayLike<number>>>;

/**
 * The numbers of a column's file.
 *
 * @returns undefined if the file does not hold `features` numbers of the column's type.
 */
export function unpackColumn({ type, offset }: PackedColumn, features: number, bytes: ArrayBuffer): ArrayLike<number> | undefined {
  if (bytes.byteLength !== features * bytesOf[type]) return undefined;
  const stored = typed(type, bytes);
  return offset === 0 ? stored : Int32Array.from(stored, (value) => value + offset);
}

/** The categories that a column's numbers stand for; '' where there is none. */
export function categoriesOf(column: PackedColumn, numbers: ArrayLike<number>): string[] {
  const { categories = [] } = column;
  return Array.from(numbers, (number) => categories[number] ?? '');
}

const bytesOf = { float32: 4, float16: 2, uint8: 1, uint16: 2, uint32: 4 };

function typed(type: PackedColumn['type'], bytes: ArrayBuffer): Float32Array | Uint8Array | Uint16Array | Uint32Array {
  switch (type) {
    case 'float32':
      return new Float32Array(bytes);
    case 'float16':
      return fromFloat16(new Uint16Array(bytes));
    case 'uint8':
      return new Uint8Array(bytes);
    case 'uint16':
      return new Uint16Array(bytes);
    case 'uint32':
      return new Uint32Array(bytes);
  }
}
