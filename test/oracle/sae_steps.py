"""500 training steps of the standard sparse autoencoder by PyTorch in float64: what every implementation must follow.

Why: fifty steps show that a step is right; five hundred show that nothing drifts: Adam's bias correction, moments of
features that stopped firing, a schedule, sizes that fill no vector register.
Weights and inputs are drawn from named streams on both sides (random_stream.py, test/model/saeSteps.ts), so that only
results are stored.
Run: pip install torch numpy safetensors && python test/oracle/sae_steps.py
Writes sae-steps-{a,b,c,d}.safetensors beside itself.
"""
import math

import numpy as np
import torch

from provenance import save_tensors
from random_stream import RandomStream
from sae import ADAM, NAMES, forward, gradients, strays, unit_rows, without_parallel

STEPS, BATCH, HIDDEN = 500, 16, 12
# Each seed is the one of 0..39 whose pre-activations stay farthest from 0: float32 sees the same side of the ReLU.
CASES = {
    "a": dict(d=16, features=64, convention="mean", l1Coefficient=0.08, warmup=0, decay=0, seed=2),
    "b": dict(d=16, features=64, convention="sum", l1Coefficient=1.2, warmup=0, decay=0, seed=0),
    # Neither size is a multiple of 16; λ rises and the learning rate falls.
    "c": dict(d=24, features=40, convention="mean", l1Coefficient=0.05, warmup=50, decay=100, seed=13),
    "d": dict(d=24, features=40, convention="sum", l1Coefficient=1.6, warmup=50, decay=100, seed=11),
}
LEARNING_RATE = 3e-3


def initial(case):
    """PyTorch's Linear's distribution for the encoder; decoder rows likewise, then of unit length."""
    d, features, seed = case["d"], case["features"], case["seed"]

    def draw(name, limit, *shape):
        return (2 * RandomStream(seed, "trainSae", "init", name).uniforms(*shape) - 1) * limit

    arrays = dict(
        W_enc=draw("W_enc", 1 / math.sqrt(d), d, features), b_enc=draw("b_enc", 1 / math.sqrt(d), features),
        W_dec=draw("W_dec", 1 / math.sqrt(features), features, d), b_dec=draw("b_dec", 1 / math.sqrt(features), d),
    )
    arrays["W_dec"] = unit_rows(torch.tensor(arrays["W_dec"].astype(np.float32).astype(np.float64))).numpy()
    return {name: torch.tensor(value.astype(np.float32).astype(np.float64)) for name, value in arrays.items()}


def batches(case):
    """Sparse mixtures of hidden directions with an offset and noise; sums in the order written, so that both sides round alike."""
    d, seed = case["d"], case["seed"]
    hidden = 2 * RandomStream(seed, "oracle", "hidden").uniforms(HIDDEN, d) - 1
    for step in range(STEPS):
        u = RandomStream(seed, "oracle", "batch", step).uniforms(BATCH, 2 * HIDDEN + d)
        x = 0.3 + 0.1 * (u[:, 2 * HIDDEN:] - 0.5)
        for k in range(HIDDEN):
            strength = np.where(u[:, k] < 0.2, 0.25 + u[:, HIDDEN + k], 0.0)
            x = x + strength[:, None] * hidden[k]
        yield torch.tensor(x.astype(np.float32).astype(np.float64))


def schedule(case, step):
    """λ rises linearly over the first `warmup` steps, the learning rate falls linearly to 0 over the last `decay`."""
    l1 = min(1.0, (step + 1) / case["warmup"]) if case["warmup"] else 1.0
    rate = min(1.0, (STEPS - step) / case["decay"]) if case["decay"] else 1.0
    return LEARNING_RATE * rate, case["l1Coefficient"] * l1


def train_by_hand(case, start, stream):
    p = dict(start)
    m, v = ({name: torch.zeros_like(p[name]) for name in NAMES} for _ in range(2))
    log, nearest, last_fired = dict(losses=[], mse=[], l1=[], l0=[]), math.inf, np.full(case["features"], -1)
    for step, x in enumerate(stream):
        rate, coefficient = schedule(case, step)
        out, g = gradients(p, x, case["convention"], coefficient)
        for key, value in dict(losses=out["loss"], mse=out["mse"], l1=out["l1"], l0=(out["f"] > 0).sum(dim=1).double().mean()).items():
            log[key].append(value.item())
        nearest = min(nearest, out["pre"].abs().min().item())
        last_fired[(out["f"] > 0).any(dim=0).numpy()] = step
        g["W_dec"] = without_parallel(g["W_dec"], p["W_dec"])
        for name in NAMES:
            m[name] = ADAM["beta1"] * m[name] + (1 - ADAM["beta1"]) * g[name]
            v[name] = ADAM["beta2"] * v[name] + (1 - ADAM["beta2"]) * g[name] ** 2
            denominator = v[name].sqrt() / math.sqrt(1 - ADAM["beta2"] ** (step + 1)) + ADAM["epsilon"]
            p[name] = p[name] - rate / (1 - ADAM["beta1"] ** (step + 1)) * m[name] / denominator
        p["W_dec"] = unit_rows(p["W_dec"])
    return p, m, v, {key: np.array(value) for key, value in log.items()}, nearest, int((last_fired < STEPS - 100).sum())


def train_by_torch(case, start, stream, dtype):
    p = {name: start[name].to(dtype, copy=True).requires_grad_() for name in NAMES}
    optimizer = torch.optim.Adam(p.values(), lr=LEARNING_RATE, betas=(ADAM["beta1"], ADAM["beta2"]), eps=ADAM["epsilon"], foreach=False)
    losses, l0 = [], []
    for step, x in enumerate(stream):
        optimizer.param_groups[0]["lr"], coefficient = schedule(case, step)
        optimizer.zero_grad()
        out = forward(p, x.to(dtype), case["convention"], coefficient)
        out["loss"].backward()
        losses.append(out["loss"].item())
        l0.append((out["f"] > 0).sum(dim=1).double().mean().item())
        with torch.no_grad():
            p["W_dec"].grad.copy_(without_parallel(p["W_dec"].grad, p["W_dec"]))
            optimizer.step()
            p["W_dec"].copy_(unit_rows(p["W_dec"]))
    return {name: value.detach() for name, value in p.items()}, np.array(losses), np.array(l0)


def make(letter, case):
    start, stream = initial(case), list(batches(case))
    p, m, v, log, nearest, silent = train_by_hand(case, start, stream)
    checked, checked_losses, _ = train_by_torch(case, start, stream, torch.float64)
    assert strays(p, checked) < 1e-8 and np.abs(log["losses"] - checked_losses).max() < 1e-8
    rounded, rounded_losses, rounded_l0 = train_by_torch(case, start, stream, torch.float32)
    deviation = dict(losses=np.abs(log["losses"] - rounded_losses).max(), trained=strays(p, rounded), l0Steps=int((log["l0"] != rounded_l0).sum()))
    print(f"  {letter}: loss {log['losses'][0]:.4f} -> {log['losses'][-1]:.4f}, L0 {log['l0'][0]:.1f} -> {log['l0'][-1]:.1f}, "
          f"{silent} features silent in the last 100 steps, nearest pre {nearest:.1e}, float32 {deviation}")
    tensors = dict(log) | {f"trained.{name}": p[name] for name in NAMES}
    tensors |= {f"adam.m.{name}": m[name] for name in NAMES} | {f"adam.v.{name}": v[name] for name in NAMES}
    save_tensors(f"sae-steps-{letter}.safetensors", __file__, tensors, {
        **case, "steps": STEPS, "batch": BATCH, "hidden": HIDDEN, "adam": ADAM | {"learningRate": LEARNING_RATE},
        "float32Deviation": deviation, "nearestPreActivation": nearest,
    })


if __name__ == "__main__":
    torch.set_num_threads(1)
    for letter, case in CASES.items():
        make(letter, case)
