"""GPT-2's merges from its ranks, for libraries that want to be told which two tokens made each."""


def merges_of(ranks):
    """Pairs in rank order, as byte-level text: each token's bytes merged by all ranks below its own leave its two parts."""
    merges = []
    for token, rank in sorted(ranks.items(), key=lambda item: item[1]):
        if len(token) == 1:
            continue
        left, right = _parts(ranks, token, rank)
        merges.append((byte_level(left), byte_level(right)))
    return merges


def _parts(ranks, token, below):
    parts = [bytes([byte]) for byte in token]
    while len(parts) > 2:
        rank, at = min((ranks.get(parts[i] + parts[i + 1], below), i) for i in range(len(parts) - 1))
        if rank >= below:
            raise ValueError(f"token {token!r} of rank {below} is not made of two")
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return parts


def byte_level(token):
    """A visible character for each byte, as GPT-2 writes its tokens."""
    return "".join(_CHARACTERS[byte] for byte in token)


def _characters():
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in visible]
    return {**{byte: chr(byte) for byte in visible}, **{byte: chr(256 + place) for place, byte in enumerate(others)}}


_CHARACTERS = _characters()
