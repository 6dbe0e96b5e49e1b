"""Makes tokenizer.json and tokenizerHashes.json beside this file: what OpenAI's own tiktoken (Python) answers for
awkward texts, and hashes of its answers for all of Unicode, for long runs and for the demo corpus.

    python3 -m venv venv && venv/bin/pip install tiktoken==0.14.0
    venv/bin/python test/oracle/tokenizer.py

Ranks come from the npm package tiktoken in node_modules (no download); the pattern is Python tiktoken's own.
"""
import base64
import hashlib
import json
import os
import pathlib
import platform
import random
from array import array

import tiktoken
from tiktoken_ext import openai_public

HERE = pathlib.Path(__file__).parent
ENCODER = HERE.parent.parent / "node_modules/tiktoken/encoders/r50k_base.json"
END_OF_TEXT = "<|endoftext|>"


def read_tokens():
    tokens = {}
    for line in json.loads(ENCODER.read_text())["bpe_ranks"].split("\n"):
        _, first, *encoded = line.split(" ")
        for offset, token in enumerate(encoded):
            tokens[base64.b64decode(token)] = int(first) + offset
    return tokens


def encoding(vocab_size):
    eot = vocab_size - 1
    ranks = {token: rank for token, rank in read_tokens().items() if rank < eot}
    return tiktoken.Encoding("oracle", pat_str=openai_public.r50k_pat_str, mergeable_ranks=ranks, special_tokens={END_OF_TEXT: eot}, explicit_n_vocab=vocab_size)


def awkward_texts():
    texts = [
        "", " ", "\n", "Hello world", "  two  spaces  ", "tab\tand\r\nCRLF\n\n\nlines   \n", "trailing   ",
        "I'm you're they'll we've he'd 'tis 'S DON'T rock 'n' roll''s '' 's", "<|endoftext|> is text here<|endoftext|>",
        "next\u0085line \u0085 \u0085\u0085x", "\ufeffbyte order mark\ufeff x \ufeff\ufeff", "nbsp\u00a0here \u00a0 \u00a0\u00a0x", "\u2028line\u2029para \u2028 \u2029x",
        "ogham\u1680space em\u2003space \u2003 thin\u2009 \u3000ideographic\u3000 zero\u200bwidth \u200b", "\u180evowel separator \u180e\u180e \u2060word joiner",
        "\x00\x01\x1b[0m\x7f\x1c\x1d\x1e\x1f \x1c x", "👨‍👩‍👧‍👦 family 🏳️‍🌈 flag 👍🏽 skin 🇩🇪🇯🇵", "e\u0301 vs \u00e9, n\u0303o, Z\u0351\u036f\u0321algo", "\u0915\u094d\u0937\u093f \u0c95\u0ccd\u0cb7",
        "日本語のテキスト、カタカナと漢字。", "中文文本,没有空格。「引号」", "한국어 텍스트 \u1112\u1161\u11ab", "Привет, мир! Ёжик. українська ґанок", "שלום עולם \u05e9\u05c1\u05b8", "مرحبا بالعالم ٱلسَّلَام",
        "Straße Übergröße ÄÖÜß ẞ", "naïve façade œuvre Ÿ", "ﬁ ligature Ⅷ ½ ² ₃ ①", "١٢٣ ४५६ ৭৮ 𝟘𝟙 〇一二 x٣y", "𝒜𝓁𝓅𝒽𝒶 𐍈 𠜎 \U0001F600\U0010FFFF", "\u0378 unassigned \ue000 private \ufdd0 \uffff",
        "3.14159 1,000,000 0x1F 12abc34 a1b2", "foo_bar(baz[0])->qux::<T>() // ok", "\\frac{a}{b} $x^2$ \\begin{align*}", "$%^&*()_+{}|:\"<>?~`!@#", "http://example.com/watch?v=dQw4w9WgXcQ&t=1",
        "word" * 300, "A" * 1200, "ab" * 700, "0123456789" * 120, "=" * 1500, "-~" * 800, " " * 1500 + "x", "x" + "\n" * 1400 + "y", "\t \n" * 500 + "z", "\u00a0" * 1100, "日" * 1300, "Жж" * 600 + " 1",
        "'" + "s" * 1100, "!'" + "t" * 1100, "a  " + "b" * 1100, "a\n\n" + "b" * 1100, "a \u0085" + "b" * 1100, " \u3000" + "c" * 1100,
    ]
    rng = random.Random(1)
    alphabets = ["abcdefgh ", "aA1 .'\n", "äöüß ,", "абвгд .", "日本語のかな。 ", " \n\t\r\u00a0\u0085\u2003x", "'stremlvd ", "0123 ४५", "👍🏽\u200d🇩 \ufe0f", "\u0301\u0327ae ", "".join(map(chr, range(0x21, 0x7f)))]
    for _ in range(120):
        texts.append("".join(rng.choice(rng.choice(alphabets)) for _ in range(rng.randrange(1, 60))))
    for _ in range(60):
        texts.append("".join(chr(c) for c in (rng.choice([rng.randrange(0x80), rng.randrange(0x3000), rng.randrange(0x10000), rng.randrange(0x110000)]) for _ in range(40)) if not 0xD800 <= c < 0xE000))
    return texts


def answer(vocab_size, texts):
    encoder = encoding(vocab_size)
    return [encoder.encode_ordinary(text) for text in texts]


# Each character alone, among letters, digits and signs, beside white space, and after an apostrophe.
CONTEXTS = ["{c}", "a{c}a 1{c}1 .{c}. {c}{c} x", " {c}  {c}\n{c}\n\n{c}\u0301 '{c}s'{c}  "]
BLOCK = 0x1000
# Longer than any natural word; as long as merging takes a reasonable time where it is quadratic.
LONG = 20_000


def unicode_hashes(encoder):
    """SHA-256 over the ids (uint16, little-endian; 65535 after each text) of every character in every context, by block."""
    hashes = []
    for first in range(0, 0x110000, BLOCK):
        characters = [chr(code) for code in range(first, first + BLOCK) if not 0xD800 <= code < 0xE000]
        texts = [context.replace("{c}", character) for character in characters for context in CONTEXTS]
        hashes.append(hash_of(encoder.encode_ordinary_batch(texts)))
    return hashes


def long_runs(encoder):
    rng = random.Random(2)
    texts = {character: character * LONG for character in ["a", " ", "\n", "=", "0", "'", "é", "日", "👍", "\u0301", "\x00", "\u3000"]}
    texts["acgt"] = "".join(rng.choice("acgt") for _ in range(LONG))
    texts["letters"] = "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(LONG))
    return [{"text": text if name in ("acgt", "letters") else name, "times": 1 if name in ("acgt", "letters") else LONG, "sha256": hash_of([encoder.encode_ordinary(text)])} for name, text in texts.items()]


def demo_corpus(encoder):
    """Of the ids of all its texts in order. It must be in the cache: any test that needs it makes it."""
    file = pathlib.Path(os.environ.get("SAEFLOW_CACHE_DIR", pathlib.Path.home() / ".cache/saeflow")) / "corpus/demo-corpus.jsonl"
    body = file.read_bytes()
    texts = [json.loads(line)["text"] for line in body.decode("utf-8").split("\n") if line]
    encoded = encoder.encode_ordinary_batch(texts)
    return {"corpusSha256": hashlib.sha256(body).hexdigest(), "tokens": sum(map(len, encoded)), "sha256": hash_of(encoded)}


def hash_of(encoded):
    digest = hashlib.sha256()
    for ids in encoded:
        digest.update(array("H", [*ids, 0xFFFF]).tobytes())
    return digest.hexdigest()


def main():
    texts = awkward_texts()
    cases = [{"text": text, "full": full, "cut": cut} for text, full, cut in zip(texts, answer(50257, texts), answer(8192, texts))]
    body = ",\n".join(json.dumps(case, ensure_ascii=True, separators=(",", ":")) for case in cases)
    made_by = json.dumps({"script": "test/oracle/tokenizer.py", "python": platform.python_version(), "tiktoken": tiktoken.__version__})
    (HERE / "tokenizer.json").write_text(f'{{"madeBy":{made_by},"fullVocabSize":50257,"cutVocabSize":8192,"cases":[\n{body}\n]}}\n')
    encoders = {"full": encoding(50257), "cut": encoding(8192)}
    hashes = {
        "madeBy": json.loads(made_by),
        "contexts": CONTEXTS,
        "block": BLOCK,
        "unicode": unicode_hashes(encoders["full"]),
        "longRuns": {name: long_runs(encoder) for name, encoder in encoders.items()},
        "demoCorpus": {name: demo_corpus(encoder) for name, encoder in encoders.items()},
    }
    (HERE / "tokenizerHashes.json").write_text(json.dumps(hashes, indent=1) + "\n")
    print(len(cases), "cases,", len(body), "characters")


if __name__ == "__main__":
    main()
