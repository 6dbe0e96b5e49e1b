import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { addOnGrid, gridFor, onGrid } from '../../data/exactSums.ts';

const numbers = fc.array(fc.double({ min: -1e4, max: 1e4, noNaN: true }), { minLength: 1, maxLength: 200 });

it('a sum does not depend on how its terms were grouped', () => {
  fc.assert(
    fc.property(numbers, fc.integer({ min: 1, max: 50 }), fc.double({ min: 1e-3, max: 1e3, noNaN: true }), (values, group, scale) => {
      const grid = gridFor(scale);
      const rounded = values.map((value) => onGrid(value, grid));
      const all = rounded.reduce((a, b) => a + b, 0);
      let grouped = 0;
      for (let start = 0; start < rounded.length; start += group) grouped += rounded.slice(start, start + group).reduce((a, b) => a + b, 0);
      expect(grouped).toBe(all);
    }),
  );
});

it('a term is off by less than a ten-millionth of the scale', () => {
  fc.assert(
    fc.property(fc.double({ min: -1e4, max: 1e4, noNaN: true }), fc.double({ min: 1e-3, max: 1e3, noNaN: true }), (value, scale) => {
      expect(Math.abs(onGrid(value, gridFor(scale)) - value)).toBeLessThanOrEqual(scale * 2 ** -25);
    }),
  );
});

it('adds component by component', () => {
  const sum = Float64Array.from([1, 2]);
  addOnGrid(sum, Float32Array.from([0.5, -0.75]), gridFor(1));
  expect([...sum]).toEqual([1.5, 1.25]);
});
