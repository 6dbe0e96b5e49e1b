"""SAELens' own evaluation of an SAE that saeflow exported, on a model that saeflow trained.

Why: an exported SAE must mean to others what it means here, and L0, explained variance or loss recovered must be the
numbers others would report. SAELens loads cfg.json and sae_weights.safetensors by its own loader and runs its own
`run_evals`; the model is a TransformerLens HookedTransformer with our weights.
Run: pip install sae-lens==6.54.12 && python test/oracle/saelens_evaluation.py
Reads saelens/, which saelens_export.ts makes; writes saelens.json beside itself.

Two of its conventions differ and are met here: its losses leave out each window's last token, for want of a target, so
they are taken on windows longer by one (a causal model's earlier positions don't see it); and its `mse` adds up the
components that ours averages. Mean ablation it does not have: a TransformerLens hook puts activation_mean in place.
"""
import json
import warnings

import numpy as np
import torch
from safetensors.torch import load_file
from sae_lens import SAE, __version__ as saelens_version
from sae_lens.evals import EvalConfig, run_evals
from sae_lens.training.activation_scaler import ActivationScaler

from provenance import HERE, save_json

warnings.simplefilter("ignore")
from transformer_lens import HookedTransformer, HookedTransformerConfig  # noqa: E402

FOLDER = HERE / "saelens"


class Windows:
    """The part of SAELens' ActivationsStore that run_evals uses: every window once, in one batch."""

    def __init__(self, tokens):
        self.tokens, self.context_size, self.store_batch_size_prompts = tokens, tokens.shape[1], tokens.shape[0]

    def get_batch_tokens(self, batch_size):
        assert batch_size == len(self.tokens)
        return self.tokens

    def reset_input_dataset(self):
        pass


def open_model(about, positions):
    """nanoGPT's weights under TransformerLens' names. One more position than trained, its embedding never seen by the others."""
    weights = load_file(FOLDER / "model.safetensors")
    d, heads = about["dModel"], about["nHead"]
    vocabulary = weights["transformer.wte.weight"].shape[0]
    config = HookedTransformerConfig(
        n_layers=about["nLayer"], d_model=d, n_ctx=positions, d_head=d // heads, n_heads=heads, d_mlp=about["dMlp"], d_vocab=vocabulary,
        act_fn="gelu", normalization_type="LN", eps=1e-5, init_weights=False, seed=0,
    )
    model = HookedTransformer(config)
    state = {name: torch.zeros_like(value) if name.split(".")[-1].startswith("b") else value for name, value in model.state_dict().items()}
    position = weights["transformer.wpe.weight"]
    state |= {
        "embed.W_E": weights["transformer.wte.weight"], "unembed.W_U": weights["transformer.wte.weight"].T, "ln_final.w": weights["transformer.ln_f.weight"],
        "pos_embed.W_pos": torch.cat([position, torch.zeros(positions - len(position), d)]),
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
    return model.eval()


def evaluate(sae, model, tokens, **what):
    config = EvalConfig(n_eval_reconstruction_batches=1, n_eval_sparsity_variance_batches=1, **what)
    return run_evals(sae, Windows(tokens), model, ActivationScaler(), config, exclude_special_tokens=False)


def main():
    torch.set_num_threads(1)
    about = json.loads((FOLDER / "model.json").read_text())
    assert about["activation"] == "gelu" and not about["bias"]
    length = about["contextLength"]
    stream = torch.tensor(np.fromfile(FOLDER / "tokens.bin", dtype="<u2").astype(np.int64))
    windows = (len(stream) - 1) // length
    tokens = stream[: windows * length].reshape(windows, length)
    longer = torch.stack([stream[row * length : (row + 1) * length + 1] for row in range(windows)])

    sae = SAE.load_from_disk(FOLDER)
    sae, model = sae.to(torch.float64), open_model(about, length + 1).to(torch.float64)
    hook, d = sae.cfg.metadata.hook_name, sae.cfg.d_in
    with torch.no_grad():
        measured, features = evaluate(sae, model, tokens, compute_sparsity_metrics=True, compute_variance_metrics=True, compute_l2_norms=True, compute_featurewise_density_statistics=True)
        losses, _ = evaluate(sae, model, longer, compute_ce_loss=True)
        mean = load_file(FOLDER / "activation_mean.safetensors")["activation_mean"].double()
        ablated = model.run_with_hooks(longer, return_type="loss", fwd_hooks=[(hook, lambda x, hook: mean.expand_as(x))]).item()
    performance, quality = losses["model_performance_preservation"], measured["reconstruction_quality"]
    print(json.dumps(measured | performance, indent=1))
    save_json("saelens.json", __file__, {
        "saelens": saelens_version, "tokens": windows * length,
        "expected": {
            "l0": measured["sparsity"]["l0"], "l1": measured["sparsity"]["l1"],
            "mse": quality["mse"] / d, "fvu": 1 - quality["explained_variance"],
            "clean": performance["ce_loss_without_sae"], "reconstructed": performance["ce_loss_with_sae"], "zero": performance["ce_loss_with_ablation"],
            "mean": ablated, "lossRecovered": performance["ce_loss_score"],
        },
        "density": features["feature_density"],
    })


if __name__ == "__main__":
    main()
