"""What the peers that tokenize have in common: the texts, GPT-2's ranks, and the checksum by which sides are compared."""
import base64
import json

END_OF_TEXT = "<|endoftext|>"


def read_texts(file):
    """All texts of a JSON-lines file, and their UTF-8 bytes together."""
    with open(file, encoding="utf-8", newline="\n") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    return texts, sum(len(text.encode("utf-8")) for text in texts)


def ranked_tokens(file):
    """Token bytes -> rank, from tiktoken's npm package: lines "! firstRank base64 base64 ..."."""
    tokens = {}
    with open(file, encoding="utf-8") as source:
        for line in json.load(source)["bpe_ranks"].split("\n"):
            _, first, *encoded = line.split(" ")
            for offset, token in enumerate(encoded):
                tokens[base64.b64decode(token)] = int(first) + offset
    return tokens


def checksum(encoded):
    """Of all ids and their places in their texts, as bench/ours/tokenize.ts computes it."""
    return sum(identity * (1 + place % 1009) for ids in encoded for place, identity in enumerate(ids))
