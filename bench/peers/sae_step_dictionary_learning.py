"""The training step of dictionary_learning's StandardTrainer: its own `update`, on the CPU.

Options as sae_step.py's, but for autocast. `update` keeps its loss to itself, so the loss is caught on its way.
"""
from importlib.metadata import version

import torch
from safetensors.torch import load_file

from dictionary_learning.trainers.standard import StandardTrainer
from serve import options, serve


def set_up():
    given = options()
    torch.set_num_threads(given["threads"])
    tensors = load_file(given["file"])
    width, features = tensors["W_enc"].shape
    x = tensors["x"]
    trainer = StandardTrainer(
        steps=1_000_000, activation_dim=width, dict_size=features, layer=0, lm_name="none", lr=given["learningRate"],
        l1_penalty=given["l1Coefficient"], warmup_steps=0, sparsity_warmup_steps=None, device="cpu",
    )
    with torch.no_grad():
        trainer.ae.encoder.weight.copy_(tensors["W_enc"].T)
        trainer.ae.encoder.bias.copy_(tensors["b_enc"])
        trainer.ae.decoder.weight.copy_(tensors["W_dec"].T)
        trainer.ae.bias.copy_(tensors["b_dec"])
    losses = []
    compute = trainer.loss

    def loss_kept(*arguments, **named):
        losses[:] = [compute(*arguments, **named)]
        return losses[0]

    trainer.loss = loss_kept

    def step(index):
        trainer.update(index, x[index % x.shape[0]])
        return dict(loss=losses[0].item())

    return f"dictionary_learning {version('dictionary-learning')} (PyTorch {torch.__version__})", torch.get_num_threads(), step


serve(set_up)
