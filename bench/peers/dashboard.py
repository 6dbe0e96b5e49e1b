"""sae_dashboard's data for all features of an SAE that saeflow exported, on a model and tokens of saeflow.

The model is a TransformerLens HookedSAETransformer with our weights under its names, the SAE is opened by SAELens' own
loader, and SaeVisRunner runs with its default settings, its layout's number of examples included; ablation experiments
are off, as they are by default. Only `run` is timed: loading, and writing the result, are not.
Options: data (tokens [windows, length]), model, architecture, sae (a folder), hook, threads. Answers with one line of JSON.
"""
import json
import sys
import time
import warnings

warnings.simplefilter("ignore")

import torch  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from sae_dashboard.sae_vis_data import SaeVisConfig  # noqa: E402
from sae_dashboard.sae_vis_runner import SaeVisRunner  # noqa: E402
from sae_lens import SAE, HookedSAETransformer  # noqa: E402
from transformer_lens import HookedTransformerConfig  # noqa: E402
from importlib.metadata import version  # noqa: E402


class Tokenizer:
    """What SaeVisRunner asks a model's tokenizer for: the text of each id. Ours has no counterpart in transformers."""

    def __init__(self, size):
        self.vocab = {f"<{token}>": token for token in range(size)}
        self.bos_token_id = self.eos_token_id = self.pad_token_id = None
        self.padding_side = "right"

    def get_vocab(self):
        return self.vocab


def open_model(path, about):
    weights = load_file(path)
    d, heads = about["dModel"], about["nHead"]
    vocabulary = weights["transformer.wte.weight"].shape[0]
    config = HookedTransformerConfig(
        n_layers=about["nLayer"], d_model=d, n_ctx=about["contextLength"], d_head=d // heads, n_heads=heads, d_mlp=about["dMlp"], d_vocab=vocabulary,
        act_fn="gelu", normalization_type="LN", eps=1e-5, init_weights=False, seed=0,
    )
    model = HookedSAETransformer(config)
    state = {name: torch.zeros_like(value) if name.split(".")[-1].startswith("b") else value for name, value in model.state_dict().items()}
    state |= {
        "embed.W_E": weights["transformer.wte.weight"], "unembed.W_U": weights["transformer.wte.weight"].T, "ln_final.w": weights["transformer.ln_f.weight"],
        "pos_embed.W_pos": weights["transformer.wpe.weight"],
    }
    for layer in range(about["nLayer"]):
        ours, theirs = f"transformer.h.{layer}", f"blocks.{layer}"
        query, key, value = weights[f"{ours}.attn.c_attn.weight"].split(d)
        for name, matrix in (("Q", query), ("K", key), ("V", value)):
            state[f"{theirs}.attn.W_{name}"] = matrix.reshape(heads, d // heads, d).transpose(1, 2)
        state[f"{theirs}.attn.W_O"] = weights[f"{ours}.attn.c_proj.weight"].T.reshape(heads, d // heads, d)
        state[f"{theirs}.mlp.W_in"], state[f"{theirs}.mlp.W_out"] = weights[f"{ours}.mlp.c_fc.weight"].T, weights[f"{ours}.mlp.c_proj.weight"].T
        state[f"{theirs}.ln1.w"], state[f"{theirs}.ln2.w"] = weights[f"{ours}.ln_1.weight"], weights[f"{ours}.ln_2.weight"]
    model.load_state_dict(state)
    model.tokenizer = Tokenizer(vocabulary)
    return model.eval()


def main(given):
    torch.set_num_threads(given["threads"])
    assert given["architecture"]["activation"] == "gelu" and not given["architecture"]["bias"]
    model, sae = open_model(given["model"], given["architecture"]), SAE.load_from_disk(given["sae"])
    tokens = load_file(given["data"])["tokens"].long()
    features = list(range(sae.cfg.d_sae))
    runner = SaeVisRunner(SaeVisConfig(hook_point=given["hook"], features=features))
    started = time.perf_counter()
    result = runner.run(encoder=sae, model=model, tokens=tokens)
    seconds = time.perf_counter() - started
    assert len(result.feature_data_dict) == len(features)
    with torch.no_grad():
        _, cache = model.run_with_cache(tokens, names_filter=[given["hook"]])
        density = (sae.encode(cache[given["hook"]]) > 0).float().mean(dim=(0, 1)).tolist()
    print(json.dumps(dict(version=f"sae_dashboard {version('sae-dashboard')}", seconds=seconds, features=len(features), tokens=tokens.numel(), density=density)))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
