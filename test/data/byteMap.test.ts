// The map of byte strings against JavaScript's own, and what it does when it is full.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ABSENT, ByteMap } from '../../data/byteMap.ts';

const keys = fc.uniqueArray(fc.uint8Array({ maxLength: 6 }), { maxLength: 200, selector: String });

it('finds what was added, by any bytes that are equal, and nothing else', () => {
  fc.assert(
    fc.property(keys, keys, fc.nat(9), (added, asked, shift) => {
      const map = new ByteMap(added.length, added.reduce((sum, { length }) => sum + length, 0));
      added.forEach((key, value) => expect(map.add(key, 0, key.length, value - 3)).toBe(true));
      const known = new Map(added.map((key, value) => [String(key), value - 3]));
      for (const key of [...added, ...asked]) {
        const around = Buffer.concat([Buffer.alloc(shift, 7), key, Buffer.from([1, 2])]);
        expect(map.get(around, shift, shift + key.length)).toBe(known.get(String(key)) ?? ABSENT);
      }
    }),
  );
});

it('takes no more keys, and no more bytes, than it has room for; cleared, it takes them again', () => {
  const map = new ByteMap(2, 5);
  const add = (text: string) => map.add(Buffer.from(text), 0, text.length, text.length);
  const get = (text: string) => map.get(Buffer.from(text), 0, text.length);
  expect([add('abc'), add('def'), add('de'), add('')]).toEqual([true, false, true, false]);
  expect([get('abc'), get('def'), get('de'), get('')]).toEqual([3, ABSENT, 2, ABSENT]);
  map.clear();
  expect([get('abc'), add('defgh'), get('defgh')]).toEqual([ABSENT, true, 5]);
});
