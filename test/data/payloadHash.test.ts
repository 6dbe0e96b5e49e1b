import { createHash, createHmac } from 'node:crypto';
import { afterAll, expect, it } from 'vitest';
import { registerDigestKernel } from '../../data/digestKernel.ts';
import { PayloadHash } from '../../data/payloadHash.ts';
import { openSaeKernel } from '../../workers/saeKernel.ts';

const kernel = openSaeKernel(2, {})?.digest;
afterAll(() => registerDigestKernel(undefined));

it.each(['with the kernel', 'without it'])('is the SHA-256, or the HMAC, of all that came, %s', async (how) => {
  registerDigestKernel(how === 'with the kernel' ? kernel : undefined);
  const large = Buffer.alloc(3 * 2 ** 20, 'a part');
  for (const pieces of [[], ['text'], [large], ['text', large, new Uint16Array([1, 2, 3]), Uint8Array.of(4).buffer]]) {
    const whole = Buffer.concat(pieces.map((piece) => (typeof piece === 'string' ? Buffer.from(piece) : ArrayBuffer.isView(piece) ? Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength) : Buffer.from(piece))));
    for (const secret of [undefined, 'key']) {
      const hash = new PayloadHash(secret);
      for (const piece of pieces) hash.update(piece);
      const expected = secret === undefined ? createHash('sha256').update(whole).digest() : createHmac('sha256', secret).update(whole).digest();
      expect(Buffer.from(await hash.digest()).equals(expected)).toBe(true);
    }
  }
});

it('begins anew after a reset', async () => {
  const hash = new PayloadHash();
  hash.update('before');
  hash.reset();
  hash.update('after');
  expect(Buffer.from(await hash.digest()).toString('hex')).toBe(createHash('sha256').update('after').digest('hex'));
});
