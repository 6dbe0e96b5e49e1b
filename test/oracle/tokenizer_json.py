"""Makes tokenizerSmall.json and tokenizerVariants.json beside this file: a byte-level BPE trained by Hugging Face's
tokenizers, and hashes of the ids that library gives for awkward texts, under the settings of well-known tokenizers.

    venv/bin/pip install tokenizers==0.23.3        (venv: see tokenizer.py)
    venv/bin/python test/oracle/tokenizer_json.py

Also checks, without writing it down, that the library with GPT-2's vocabulary gives what tiktoken gives.
"""
import copy
import hashlib
import json
import pathlib
import platform
import sys

import tokenizers
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

import tokenizer as gpt2

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent.parent / "bench/peers"))
from tokenizer_merges import byte_level, merges_of  # noqa: E402

VOCAB_SIZE = 700
# The planes that have letters, numbers or spaces of many kinds.
UNICODE_BLOCKS = range(0, 0x20000, gpt2.BLOCK)
SWEPT = ["as trained", "Llama 3"]
LLAMA_3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN_2 = LLAMA_3.replace("{1,3}", "")
GPT_4O = "|".join([
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"\p{N}{1,3}", r" ?[^\s\p{L}\p{N}]+[\r\n/]*", r"\s*[\r\n]+", r"\s+(?!\S)", r"\s+",
])
POSSESSIVE = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s+(?!\S)|\s+"
DEEPSEEK = [r"\p{N}{1,3}", r"[一-龥぀-ゟ゠-ヿ]+", r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"]
ODD = r"\S+|\d{2,}(?=\d)|[^\S\n]+|\n{1,2}|."


def byte_level_step(use_regex, prefix=False):
    return {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": True, "use_regex": use_regex}


def splits(*patterns):
    steps = [{"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False} for pattern in patterns]
    return {"type": "Sequence", "pretokenizers": [*steps, byte_level_step(False)]}


def added(identity, content, **more):
    return {"id": identity, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False, **more}


END = added(0, gpt2.END_OF_TEXT, special=True)
QWEN_ADDED = [END, added(701, "<tool>"), added(702, "<tool><x"), added(703, "e\u0301", normalized=True), added(704, "<tool>'s", special=True), added(705, "日本", normalized=True)]
# Name, and the fields that differ from the file as trained.
VARIANTS = [
    ("as trained", {}),
    ("prefix space", {"pre_tokenizer": byte_level_step(True, prefix=True)}),
    ("one piece", {"pre_tokenizer": byte_level_step(False)}),
    ("Llama 3", {"pre_tokenizer": splits(LLAMA_3), "model.ignore_merges": True}),
    ("Qwen 2", {"pre_tokenizer": splits(QWEN_2), "normalizer": {"type": "NFC"}, "added_tokens": QWEN_ADDED}),
    ("added tokens with a prefix space", {"pre_tokenizer": byte_level_step(True, prefix=True), "added_tokens": QWEN_ADDED, "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}]}}),
    ("GPT-4o", {"pre_tokenizer": splits(GPT_4O)}),
    ("possessive", {"pre_tokenizer": splits(POSSESSIVE)}),
    ("DeepSeek", {"pre_tokenizer": splits(*DEEPSEEK)}),
    ("odd", {"pre_tokenizer": splits(ODD)}),
    ("split, then GPT-2's pattern", {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"String": "e"}, "behavior": "Isolated", "invert": False}, byte_level_step(True, prefix=True)]}}),
]


def texts():
    named = ["<tool>", "a<tool><x>b<tool><y", "<tool>'s e\u0301 é <|endoftext|><tool>", "日本語 <tool> 日本", "I'LL we'RE it'ſ 'S'T", "\u2126 \u212b \u1e9b\u0323 e\u0301\u0323", "abab aaaa Ġ", "HTTPServer fooBar ǅungla"]
    return named + [text for text in gpt2.awkward_texts() if len(text) < 2_000]


def train():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(vocab_size=VOCAB_SIZE, special_tokens=[gpt2.END_OF_TEXT], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator([*gpt2.awkward_texts(), (HERE.parent.parent / "LICENSE").read_text()], trainer)
    return json.loads(tokenizer.to_str())


def patched(base, patch):
    result = copy.deepcopy(base)
    for path, value in patch.items():
        *parents, name = path.split(".")
        place = result
        for parent in parents:
            place = place[parent]
        place[name] = value
    return result


def loaded(file):
    tokenizer = Tokenizer.from_str(json.dumps(file))
    tokenizer.encode_special_tokens = True
    return tokenizer


def hash_of(ids):
    return hashlib.sha256(",".join(map(str, ids)).encode()).hexdigest()[:12]


def unicode_hashes(tokenizer):
    """Of the ids of every character in every context of tokenizer.py, by block: its look at letters, numbers and spaces."""
    hashes = []
    for first in UNICODE_BLOCKS:
        characters = [chr(code) for code in range(first, first + gpt2.BLOCK) if not 0xD800 <= code < 0xE000]
        cases = [context.replace("{c}", character) for character in characters for context in gpt2.CONTEXTS]
        encoded = tokenizer.encode_batch_fast(cases, add_special_tokens=False)
        hashes.append(gpt2.hash_of(encoding.ids for encoding in encoded))
    return hashes


def check_gpt2():
    tokens = gpt2.read_tokens()
    tokenizer = Tokenizer(models.BPE(vocab={byte_level(token): rank for token, rank in tokens.items()}, merges=merges_of(tokens)))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    reference = gpt2.encoding(50257)
    for text in texts():
        assert tokenizer.encode(text).ids == reference.encode_ordinary(text), text


def main():
    check_gpt2()
    base = train()
    # In the vocabulary, but no merge leads there: only ignore_merges finds it.
    base["model"]["vocab"]["Ġtwo"] = VOCAB_SIZE
    made_by = {"script": "test/oracle/tokenizer_json.py", "python": platform.python_version(), "tokenizers": tokenizers.__version__}
    variants = []
    for name, patch in VARIANTS:
        tokenizer = loaded(patched(base, patch))
        variants.append({"name": name, "patch": patch, "sha256": [hash_of(tokenizer.encode(text, add_special_tokens=False).ids) for text in texts()]})
    swept = [{"name": name, "sha256": unicode_hashes(loaded(patched(base, dict(VARIANTS)[name])))} for name in SWEPT]
    (HERE / "tokenizerSmall.json").write_text(json.dumps(base, ensure_ascii=False, separators=(",", ":")) + "\n")
    (HERE / "tokenizerVariants.json").write_text(json.dumps({"madeBy": made_by, "texts": texts(), "variants": variants, "unicode": swept}, separators=(",", ":")) + "\n")
    print(len(variants), "variants,", len(texts()), "texts")


if __name__ == "__main__":
    main()
