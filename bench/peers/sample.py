"""Activations of one MLP at kept positions: nanoGPT's forward pass up to a hook on its nonlinearity, all positions, then
a gather. Nothing after the hook is computed, and no gradients.

Options: file (weights under param., tokens [batch, T], positions [batch, P]), architecture, vocabRows, hook, threads.
"""
import re

import torch
from safetensors.torch import load_file

from nanogpt import GPT
from serve import options, serve

CHECKED_VECTORS = 64


class Reached(Exception):
    """Ends a forward pass at the hook."""


def set_up():
    given = options()
    torch.set_num_threads(given["threads"])
    tensors = load_file(given["file"])
    model = GPT(given["architecture"], given["vocabRows"])
    model.load(tensors, "param.")
    layer = int(re.fullmatch(r"blocks\.(\d+)\.mlp\.hook_post", given["hook"]).group(1))
    tokens, positions = tensors["tokens"].long(), tensors["positions"].long()
    seen = []

    def hook(_module, _inputs, output):
        seen.append(output)
        raise Reached

    model.transformer.h[layer].mlp.gelu.register_forward_hook(hook)
    rows = torch.arange(tokens.shape[0])[:, None]

    @torch.inference_mode()
    def step(_index):
        try:
            model(tokens, tokens)
        except Reached:
            pass
        vectors = seen.pop()[rows, positions].reshape(-1, given["architecture"]["dMlp"]).numpy()
        return dict(meanMagnitude=float(abs(vectors[:CHECKED_VECTORS]).mean(dtype="float64")))

    return f"PyTorch {torch.__version__}", torch.get_num_threads(), step


serve(set_up)
