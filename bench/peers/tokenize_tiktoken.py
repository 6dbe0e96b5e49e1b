"""OpenAI's tiktoken on all texts of a JSON-lines file, one after the other, on one core.

Options: file, vocabSize, ranks (the npm package's r50k_base.json: no download), threads.
"""
import tiktoken
from tiktoken_ext import openai_public

from serve import options, serve
from tokenize_texts import END_OF_TEXT, checksum, ranked_tokens, read_texts


def set_up():
    given = options()
    texts, size = read_texts(given["file"])
    eot = given["vocabSize"] - 1
    ranks = {token: rank for token, rank in ranked_tokens(given["ranks"]).items() if rank < eot}
    encoding = tiktoken.Encoding("gpt2", pat_str=openai_public.r50k_pat_str, mergeable_ranks=ranks, special_tokens={END_OF_TEXT: eot})
    total = checksum(encoding.encode_ordinary(text) for text in texts)

    def step(_index):
        return dict(bytes=size, tokens=sum(len(encoding.encode_ordinary(text)) for text in texts), checksum=total)

    return f"tiktoken {tiktoken.__version__}", 1, step


serve(set_up)
