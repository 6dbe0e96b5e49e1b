// What kind of character each code point is, as tiktoken's regular expressions see it, whatever Unicode version the
// JavaScript engine has: a shard's hash must not depend on the Node that made it.
import { CATEGORIES, CATEGORY_RUNS } from './unicodeCategories.ts';

/** What GPT-2's split pattern tells apart. */
export const OTHER = 0;
export const LETTER = 1;
export const NUMBER = 2;
export const WHITE = 3;

/** First and last code point. */
export type Range = readonly [first: number, last: number];

const LAST_CODE_POINT = 0x10ffff;

/** Unicode's White_Space: what `\s` is in Rust and Oniguruma. JavaScript's has U+FEFF besides, and lacks U+0085. */
export const whiteSpace: readonly Range[] = [
  [0x09, 0x0d],
  [0x20, 0x20],
  [0x85, 0x85],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x2028, 0x2029],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
];

interface CategoryRun {
  category: string;
  range: Range;
}

const categoryRuns: readonly CategoryRun[] = readRuns();

/**
 * The code points of a general category ("Lu") or of all that begin with a letter ("L"), ascending.
 *
 * @returns undefined for a name that is no general category.
 */
export function categoryRanges(name: string): Range[] | undefined {
  const members = Object.values(CATEGORIES).filter((category) => category === name || (name.length === 1 && category.startsWith(name)));
  if (members.length === 0) return undefined;
  return joined(categoryRuns.filter(({ category }) => members.includes(category)).map(({ range }) => range));
}

/** All code points outside of `ranges`, which ascend. */
export function complement(ranges: readonly Range[]): Range[] {
  const outside: Range[] = [];
  let next = 0;
  for (const [first, last] of ranges) {
    if (first > next) outside.push([next, first - 1]);
    next = last + 1;
  }
  if (next <= LAST_CODE_POINT) outside.push([next, LAST_CODE_POINT]);
  return outside;
}

/** The class of every code point: 1.1 MB, of which a text touches a few kB. */
export function splitClasses(): Uint8Array {
  const classes = new Uint8Array(LAST_CODE_POINT + 1).fill(OTHER);
  const mark = (ranges: readonly Range[], kind: number) => ranges.forEach(([first, last]) => classes.fill(kind, first, last + 1));
  mark(categoryRanges('L')!, LETTER);
  mark(categoryRanges('N')!, NUMBER);
  mark(whiteSpace, WHITE);
  return classes;
}

/** "3AB": three of the category A stands for, then one of B. */
function readRuns(): CategoryRun[] {
  const runs: CategoryRun[] = [];
  let first = 0;
  for (const [, length, code] of CATEGORY_RUNS.matchAll(/([0-9a-z]*)([^0-9a-z])/g)) {
    const last = first + (length === '' ? 1 : Number.parseInt(length!, 36)) - 1;
    runs.push({ category: CATEGORIES[code!]!, range: [first, last] });
    first = last + 1;
  }
  return runs;
}

function joined(ranges: readonly Range[]): Range[] {
  const result: [number, number][] = [];
  for (const [first, last] of ranges) {
    const before = result.at(-1);
    if (before !== undefined && before[1] + 1 === first) before[1] = last;
    else result.push([first, last]);
  }
  return result;
}
