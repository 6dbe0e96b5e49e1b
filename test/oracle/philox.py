"""Known answers of Philox4x32-10 (Salmon et al. 2011): the counter-based stream behind every random choice.

Why: shards are pure functions of numbers only if the generator is exactly the published one on every machine.
Run: pip install numpy safetensors && python test/oracle/philox.py
Writes philox.json beside itself: the three vectors published with Random123 (kat_vectors), which this
implementation must reproduce, and 20 more of its own. Words are hexadecimal, least significant first.
"""
import random

from provenance import save_json

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
MASK = 0xFFFFFFFF
PUBLISHED = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def philox4x32(counter, key, rounds=10):
    c, k = list(counter), list(key)
    for _ in range(rounds):
        first, second = MULTIPLIERS[0] * c[0], MULTIPLIERS[1] * c[2]
        c = [(second >> 32) ^ c[1] ^ k[0], second & MASK, (first >> 32) ^ c[3] ^ k[1], first & MASK]
        k = [(word + step) & MASK for word, step in zip(k, WEYL)]
    return c


def words(text):
    return [int(word, 16) for word in text.split()]


def vector(counter, key):
    return {name: [f"{word:08x}" for word in value]
            for name, value in (("counter", counter), ("key", key), ("output", philox4x32(counter, key)))}


def main():
    for counter, key, output in PUBLISHED:
        assert philox4x32(words(counter), words(key)) == words(output)
    draw = random.Random(2011).getrandbits
    own = [vector([draw(32) for _ in range(4)], [draw(32) for _ in range(2)]) for _ in range(20)]
    save_json("philox.json", __file__, {"published": [vector(words(c), words(k)) for c, k, _ in PUBLISHED], "computed": own})


if __name__ == "__main__":
    main()
