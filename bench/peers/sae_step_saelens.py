"""The training step of SAELens' SAETrainer for a standard SAE: its own `step`, on the CPU. It clips gradients by norm,
and neither projects the decoder's gradient nor holds its rows to unit norm.

Options as sae_step.py's, but for autocast.
"""
from importlib.metadata import version

import torch
from safetensors.torch import load_file

from sae_lens.config import LoggingConfig, SAETrainerConfig
from sae_lens.saes.standard_sae import StandardTrainingSAE, StandardTrainingSAEConfig
from sae_lens.training.sae_trainer import SAETrainer
from serve import options, serve


def set_up():
    given = options()
    torch.set_num_threads(given["threads"])
    tensors = load_file(given["file"])
    width, features = tensors["W_enc"].shape
    x = tensors["x"]
    sae = StandardTrainingSAE(StandardTrainingSAEConfig(
        d_in=width, d_sae=features, dtype="float32", device="cpu", apply_b_dec_to_input=True, normalize_activations="none",
        l1_coefficient=given["l1Coefficient"],
    ))
    with torch.no_grad():
        for name in ("W_enc", "b_enc", "W_dec", "b_dec"):
            getattr(sae, name).copy_(tensors[name])
    config = SAETrainerConfig(
        total_training_samples=10**9, train_batch_size_samples=x.shape[1], lr=given["learningRate"], lr_end=given["learningRate"],
        adam_beta1=given["beta1"], adam_beta2=given["beta2"], device="cpu", logger=LoggingConfig(log_to_wandb=False),
    )
    trainer = SAETrainer(config, sae, data_provider=iter(()))

    def step(index):
        output = trainer.step(x[index % x.shape[0]])
        trainer.n_training_steps += 1
        return dict(loss=output.loss.item())

    return f"SAELens {version('sae-lens')} (PyTorch {torch.__version__})", torch.get_num_threads(), step


serve(set_up)
