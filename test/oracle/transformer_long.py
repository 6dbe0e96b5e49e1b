"""Losses and gradients of nanoGPT's model at a context of 1,024, computed by PyTorch in float64.

Why: attention in blocks, and its backward pass, meet their edges only in a long context. transformer.py has the formulas
and checks them against PyTorch's layers. Both sides draw weights and tokens from named streams, so only results are stored.
Run: python test/oracle/transformer_long.py
"""
import numpy as np
import torch

from provenance import save_tensors
from random_stream import RandomStream
from transformer import REAL_TOKENS, VOCABULARY_ROWS, check_against_torch, cross_entropy, forward, shapes

CONTEXT, BATCH, SEED = 1024, 1, 11
CASES = {
    "one": dict(nLayer=1, bias=False, activation="gelu"),
    "oneWithBias": dict(nLayer=1, bias=True, activation="relu"),
    "three": dict(nLayer=3, bias=False, activation="gelu-tanh"),
    "threeWithBias": dict(nLayer=3, bias=True, activation="gelu"),
}


def draw_parameters(case, config):
    """Uniform in ±0.35; gains around 1. Rounded to float32."""
    drawn = {}
    for name, shape in shapes(config).items():
        values = 0.7 * RandomStream(SEED, "oracle", case, name).uniforms(*shape) - 0.35
        if ".ln_" in name and name.endswith("weight"):
            values = values + 1
        drawn[name] = torch.tensor(values.astype(np.float32).astype(np.float64))
    return drawn


def losses_and_gradients(initial, text, config, dtype):
    p = {name: value.to(dtype, copy=True).requires_grad_() for name, value in initial.items()}
    tokens, targets = text[:, :-1], text[:, 1:]
    logits, _ = forward(p, tokens, config)
    losses = (torch.logsumexp(logits, -1) - logits.gather(-1, targets[..., None])[..., 0]).detach()
    gradients = torch.autograd.grad(cross_entropy(logits, targets), list(p.values()))
    if dtype == torch.float64:
        torch_logits, _ = check_against_torch(p, tokens, targets, config)
        assert (logits - torch_logits).abs().max() < 1e-11
    return {"losses": losses, **{f"grad.{name}": gradient for name, gradient in zip(p, gradients)}}


def main():
    tensors, about = {}, {}
    for case, variant in CASES.items():
        config = variant | dict(nHead=2, dModel=8, dMlp=16, contextLength=CONTEXT)
        text = torch.tensor((RandomStream(SEED, "oracle", case, "tokens").uniforms(BATCH, CONTEXT + 1) * REAL_TOKENS).astype(np.int64))
        initial = draw_parameters(case, config)
        exact = losses_and_gradients(initial, text, config, torch.float64)
        rounded = losses_and_gradients(initial, text, config, torch.float32)
        # each tensor's largest error over its largest value; a key bias has no gradient but rounding
        strays = {name: ((exact[name] - rounded[name]).abs().max() / exact[name].abs().max()).item() for name in exact}
        worst = max(strays, key=lambda name: strays[name] if not name.endswith("c_attn.bias") else 0)
        print(case, exact["losses"].mean().item(), worst, strays[worst])
        tensors |= {f"{case}.{name}": value for name, value in exact.items()}
        about[case] = dict(architecture=config, float32Deviation=strays[worst])
    save_tensors("transformer-long.safetensors", __file__, tensors, {"cases": about, "vocabularyRows": VOCABULARY_ROWS, "seed": SEED})


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
