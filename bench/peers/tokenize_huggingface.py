"""Hugging Face's tokenizers with GPT-2's vocabulary on all texts of a JSON-lines file, in batches, on one core.

Options: file, vocabSize, ranks (the npm package's r50k_base.json: no download), threads.
"""
import os

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"

import tokenizers
from tokenizers import Tokenizer, models, pre_tokenizers

from serve import options, serve
from tokenize_texts import checksum, ranked_tokens, read_texts
from tokenizer_merges import byte_level, merges_of

BATCH = 256


def set_up():
    given = options()
    texts, size = read_texts(given["file"])
    ranks = {token: rank for token, rank in ranked_tokens(given["ranks"]).items() if rank < given["vocabSize"] - 1}
    vocab = {byte_level(token): rank for token, rank in ranks.items()}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges_of(ranks)))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)

    def encode():
        # the variant without offsets: the fastest that it has
        for start in range(0, len(texts), BATCH):
            for encoding in tokenizer.encode_batch_fast(texts[start : start + BATCH], add_special_tokens=False):
                yield encoding.ids

    total = checksum(encode())

    def step(_index):
        return dict(bytes=size, tokens=sum(len(ids) for ids in encode()), checksum=total)

    return f"tokenizers {tokenizers.__version__}", 1, step


serve(set_up)
