"""The project's named random streams (schemas/random.ts), written again from their definition.

Why: inputs and initial weights that both sides draw need not be stored, and a choice that depends on a stream (the order
of rows, the sources of a resampling) can be worked out without the project's code.
Blocks come from Philox4x32-10, here over a whole array of counters at once; philox.py checks the generator itself.
"""
import json

import numpy as np

from philox import philox4x32

MASK = np.uint64(0xFFFFFFFF)


class RandomStream:
    """Numbers named by a seed and a label: uniforms of 53 bits, integers without bias, permutations."""

    def __init__(self, seed, *label):
        self.key, self.words, self.taken, self.blocks = key_of([seed, *label]), np.empty(0, np.uint64), 0, 0

    def next_words(self, count):
        while self.taken + count > len(self.words):
            size = max(1024, count)
            counters = np.arange(self.blocks, self.blocks + size, dtype=np.uint64)
            zeros = np.zeros(size, np.uint64)
            # the low 32 bits of the counter are enough for every use here
            fresh = np.stack(philox_many([counters, zeros, zeros, zeros], self.key), axis=1).reshape(-1)
            self.words, self.taken, self.blocks = np.concatenate([self.words[self.taken:], fresh]), 0, self.blocks + size
        self.taken += count
        return self.words[self.taken - count:self.taken]

    def uniforms(self, *shape):
        """[0, 1), in the order of drawing, row-major."""
        words = self.next_words(2 * int(np.prod(shape))).reshape(-1, 2)
        high, low = words[:, 0] >> np.uint64(5), words[:, 1] >> np.uint64(6)
        return ((high.astype(np.float64) * 2**26 + low.astype(np.float64)) / 2**53).reshape(shape)

    def uniform(self):
        return float(self.uniforms(1)[0])

    def integer(self, n):
        """Lemire: the upper word of draw times n, rejecting the few draws that would make some results likelier."""
        while True:
            product = int(self.next_words(1)[0]) * n
            if product & 0xFFFFFFFF >= (2**32 - n) % n:
                return product >> 32

    def permutation(self, n):
        order = list(range(n))
        for i in range(n - 1, 0, -1):
            j = self.integer(i + 1)
            order[i], order[j] = order[j], order[i]
        return order


def philox_many(counter, key):
    """philox4x32 of arrays of counters."""
    k = [int(word) for word in key]
    for _ in range(10):
        first, second = np.uint64(0xD2511F53) * counter[0], np.uint64(0xCD9E8D57) * counter[2]
        counter = [(second >> np.uint64(32)) ^ counter[1] ^ np.uint64(k[0]), second & MASK,
                   (first >> np.uint64(32)) ^ counter[3] ^ np.uint64(k[1]), first & MASK]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return counter


def key_of(name):
    """The name as JSON, eight UTF-16 units at a time as the counter of a block whose output makes the next key."""
    text = json.dumps(name, separators=(",", ":"), ensure_ascii=False)
    units = [ord(character) for character in text] + [0] * 8
    key = [len(text), 0x73616566]
    for at in range(0, len(text), 8):
        state = philox4x32([units[at + 2 * i] | (units[at + 2 * i + 1] << 16) for i in range(4)], key)
        key = [state[0] ^ state[2], state[1] ^ state[3]]
    return key


# Known answers of schemas/random.ts (test/schemas/random.test.ts).
assert [f"{word:08x}" for word in map(int, RandomStream(1, "golden", 7).next_words(6))] == \
    "736ef0fc 5da31f4f 59168103 773ce8ad cdc991d0 f7eb7e56".split()
assert RandomStream(2357, "permutation").permutation(8) == [6, 2, 5, 1, 3, 7, 0, 4]
