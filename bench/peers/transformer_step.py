"""One training step of nanoGPT (train.py: forward, backward, clip, AdamW) in PyTorch float32 on the CPU, eager or compiled.

Options: file (weights under param., tokens and targets [2, batch, T]), architecture, vocabRows, training, compile, threads.
"""
import torch
from safetensors.torch import load_file

from nanogpt import GPT
from serve import options, serve


def set_up():
    given = options()
    torch.set_num_threads(given["threads"])
    tensors = load_file(given["file"])
    model = GPT(given["architecture"], given["vocabRows"])
    model.load(tensors, "param.")
    optimizer = model.optimizer(given["training"])
    tokens, targets = tensors["tokens"].long(), tensors["targets"].long()
    forward = torch.compile(model) if given["compile"] else model
    clip = given["training"]["gradientClip"]

    def step(index):
        batch = index % tokens.shape[0]
        loss = forward(tokens[batch], targets[batch])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return dict(loss=loss.item())

    return f"PyTorch {torch.__version__} {'torch.compile' if given['compile'] else 'eager'}", torch.get_num_threads(), step


serve(set_up)
