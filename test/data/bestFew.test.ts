import fc from 'fast-check';
import { expect, it } from 'vitest';
import { keepBestFew } from '../../data/bestFew.ts';

it('keeps what sorting everything would put first, in its order, ties by the second number', () => {
  const item = fc.tuple(fc.integer({ min: 0, max: 5 }), fc.nat());
  fc.assert(
    fc.property(fc.uniqueArray(item, { selector: ([, id]) => id }), fc.integer({ min: 0, max: 8 }), (items, most) => {
      const few: [number, number][] = [];
      for (const each of items) keepBestFew(few, each, most, ([a, x], [b, y]) => a > b || (a === b && x < y));
      expect(few).toEqual([...items].sort(([a, x], [b, y]) => b - a || x - y).slice(0, most));
    }),
  );
});
