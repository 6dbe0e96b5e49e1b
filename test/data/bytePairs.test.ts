// Merging against a re-statement that looks at all pairs each time, on vocabularies made to be awkward: few letters,
// random merges, so that pairs overlap, repeat and compete.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { BytePairMerger, PairTable } from '../../data/bytePairs.ts';

interface Merge {
  left: number;
  right: number;
}

/** Merges of tokens made before, each a token of its own; ids from 256 on. */
const vocabulary = fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 40 }).map((pairs) => {
  const merges: Merge[] = [];
  for (const [a, b] of pairs) {
    const known = [97, 98, 99, ...merges.map((_, index) => 256 + index)];
    merges.push({ left: known[a % known.length]!, right: known[b % known.length]! });
  }
  return merges;
});
const byteIds = Int32Array.from({ length: 256 }, (_, byte) => byte);

function mergerOf(merges: Merge[]): BytePairMerger {
  const table = new PairTable(merges.length, merges.length);
  merges.forEach(({ left, right }, rank) => table.set(left, right, rank, 256 + rank));
  return new BytePairMerger(table, byteIds);
}

function merged(merger: BytePairMerger, text: string): number[] {
  const bytes = Buffer.from(`__${text}__`);
  const into = new Uint32Array(bytes.length + 3);
  const end = merger.merge(bytes, 2, bytes.length - 2, into, 3);
  expect([...into.subarray(0, 3)]).toEqual([0, 0, 0]);
  return [...into.subarray(3, end)];
}

/** The lowest rank first, the leftmost among equals; of a pair named twice the last rank counts. */
function plainly(merges: Merge[], text: string): number[] {
  const ids = [...Buffer.from(text)];
  for (;;) {
    const ranks = ids.map((id, at) => merges.findLastIndex(({ left, right }) => left === id && right === ids[at + 1]));
    const best = ranks.reduce((lowest, rank, at) => (rank >= 0 && (lowest < 0 || rank < ranks[lowest]!) ? at : lowest), -1);
    if (best < 0) return ids;
    ids.splice(best, 2, 256 + ranks[best]!);
  }
}

it('gives what looking at all pairs gives, for short pieces and for long ones', () => {
  const text = fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'ab', 'aaaa', 'abcabc'), { maxLength: 120 }).map((parts) => parts.join(''));
  fc.assert(
    fc.property(vocabulary, text, (merges, piece) => {
      expect(merged(mergerOf(merges), piece)).toEqual(plainly(merges, piece));
    }),
    { numRuns: 2_000 },
  );
});

it.each([127, 128, 129, 256, 1_000])('a run of %i letters is cut from the left', (length) => {
  const doubling = [{ left: 97, right: 97 }, { left: 256, right: 256 }, { left: 257, right: 257 }];
  expect(merged(mergerOf(doubling), 'a'.repeat(length))).toEqual(plainly(doubling, 'a'.repeat(length)));
});

it('a table finds every pair that was put into it, and no other', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.tuple(fc.nat(2 ** 21 - 1), fc.nat(2 ** 21 - 1)), { minLength: 1, maxLength: 200, selector: String }), ([absent, ...pairs]) => {
      const table = new PairTable(pairs.length, pairs.length);
      pairs.forEach(([left, right], rank) => table.set(left, right, rank, rank + 7));
      pairs.forEach(([left, right], rank) => {
        expect(table.rankOf(left, right)).toBe(rank);
        expect(table.idOf(rank)).toBe(rank + 7);
      });
      expect(table.rankOf(...absent!)).toBe(-1);
    }),
  );
});
