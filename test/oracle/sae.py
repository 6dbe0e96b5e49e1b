"""Reference outputs of the standard sparse autoencoder and its training step, computed by PyTorch in float64.

Why: loss conventions, the projected decoder gradient, Adam's epsilon and the order of the steps are easy to get
subtly wrong; here they are written plainly and checked against torch.optim.Adam.
Run: pip install torch numpy safetensors && python test/oracle/sae.py
Writes sae-{mean,sum}.safetensors beside itself. README.md lists the tensors.
"""
import math

import numpy as np
import torch

from provenance import save_tensors

D_IN, D_SAE, BATCH, STEPS = 8, 24, 32, 50
ADAM = dict(learningRate=1e-2, beta1=0.9, beta2=0.999, epsilon=1e-8)
# The sum's coefficient is not d times the mean's: the two files must not be each other's multiple.
L1_COEFFICIENTS = {"mean": 0.02, "sum": 0.1}
# Chosen so that no pre-activation of the 50 steps lies so near 0 that float32 could see the other side of the ReLU.
SEEDS = {"mean": 32, "sum": 35}
NAMES = ("W_enc", "b_enc", "W_dec", "b_dec")


def unit_rows(w):
    return w / w.norm(dim=1, keepdim=True)


def draw(random):
    """Sparse mixtures of hidden directions with an offset, and weights as at the start of a training. Exact in float32."""
    hidden = unit_rows(torch.tensor(random.standard_normal((12, D_IN)))).numpy()

    def vectors(*lead):
        present = random.random_sample((*lead, 12)) < 0.2
        strength = random.gamma(3.0, 0.6, size=(*lead, 12))
        noise = 0.05 * random.standard_normal((*lead, D_IN))
        return (present * strength) @ hidden + 0.3 + noise

    limit = math.sqrt(1 / D_IN)
    arrays = dict(
        x=vectors(BATCH), stream=vectors(STEPS, BATCH),
        W_enc=random.uniform(-limit, limit, (D_IN, D_SAE)), b_enc=random.uniform(-limit, limit, D_SAE),
        W_dec=unit_rows(torch.tensor(random.standard_normal((D_SAE, D_IN)))).numpy(), b_dec=0.3 + 0.1 * random.standard_normal(D_IN),
    )
    return {name: torch.tensor(value.astype(np.float32).astype(np.float64)) for name, value in arrays.items()}


def forward(p, x, convention, coefficient):
    pre = (x - p["b_dec"]) @ p["W_enc"] + p["b_enc"]
    f = torch.where(pre > 0, pre, torch.zeros_like(pre))
    x_hat = f @ p["W_dec"] + p["b_dec"]
    squares = (x - x_hat) ** 2
    errors = squares.mean(dim=1) if convention == "mean" else squares.sum(dim=1)
    parts = dict(error=errors.mean(), l1=f.abs().sum(dim=1).mean())
    per_row = errors + coefficient * f.abs().sum(dim=1)
    return dict(pre=pre, f=f, x_hat=x_hat, mse=squares.mean(), rowLoss=per_row, loss=parts["error"] + coefficient * parts["l1"], **parts)


def gradients(p, x, convention, coefficient):
    leaves = {name: p[name].clone().requires_grad_() for name in NAMES}
    out = forward(leaves, x, convention, coefficient)
    return out, dict(zip(NAMES, torch.autograd.grad(out["loss"], [leaves[name] for name in NAMES])))


def without_parallel(gradient, w_dec):
    """Removes from each row of the gradient its component along the (normalised) decoder row."""
    direction = unit_rows(w_dec)
    return gradient - (gradient * direction).sum(dim=1, keepdim=True) * direction


def train_by_hand(initial, stream, convention, coefficient):
    """[project, Adam, renormalise] on each batch; losses are before each step."""
    p = {name: initial[name].clone() for name in NAMES}
    m = {name: torch.zeros_like(p[name]) for name in NAMES}
    v = {name: torch.zeros_like(p[name]) for name in NAMES}
    losses, l0, nearest = [], [], math.inf
    for t, x in enumerate(stream, start=1):
        out, g = gradients(p, x, convention, coefficient)
        losses.append(out["loss"].item())
        l0.append((out["f"] > 0).sum(dim=1).double().mean().item())
        nearest = min(nearest, out["pre"].abs().min().item())
        g["W_dec"] = without_parallel(g["W_dec"], p["W_dec"])
        for name in NAMES:
            m[name] = ADAM["beta1"] * m[name] + (1 - ADAM["beta1"]) * g[name]
            v[name] = ADAM["beta2"] * v[name] + (1 - ADAM["beta2"]) * g[name] ** 2
            denominator = v[name].sqrt() / math.sqrt(1 - ADAM["beta2"] ** t) + ADAM["epsilon"]
            p[name] = p[name] - ADAM["learningRate"] / (1 - ADAM["beta1"] ** t) * m[name] / denominator
        p["W_dec"] = unit_rows(p["W_dec"])
    return p, m, v, np.array(losses), np.array(l0), nearest


def train_by_torch(initial, stream, convention, coefficient, dtype):
    p = {name: initial[name].to(dtype, copy=True).requires_grad_() for name in NAMES}
    optimizer = torch.optim.Adam(
        p.values(), lr=ADAM["learningRate"], betas=(ADAM["beta1"], ADAM["beta2"]), eps=ADAM["epsilon"], foreach=False
    )
    losses = []
    for x in stream.to(dtype):
        optimizer.zero_grad()
        loss = forward(p, x, convention, coefficient)["loss"]
        loss.backward()
        losses.append(loss.item())
        with torch.no_grad():
            p["W_dec"].grad.copy_(without_parallel(p["W_dec"].grad, p["W_dec"]))
            optimizer.step()
            p["W_dec"].copy_(unit_rows(p["W_dec"]))
    return {name: value.detach() for name, value in p.items()}, np.array(losses)


def strays(exact, other):
    return max((exact[name] - other[name].double()).abs().max().item() for name in NAMES)


def make(convention):
    random, coefficient = np.random.RandomState(SEEDS[convention]), L1_COEFFICIENTS[convention]
    drawn = draw(random)
    x, stream = drawn["x"], drawn["stream"]

    out, grads = gradients(drawn, x, convention, coefficient)
    trained, m, v, losses, l0, nearest = train_by_hand(drawn, stream, convention, coefficient)
    checked, checked_losses = train_by_torch(drawn, stream, convention, coefficient, torch.float64)
    assert strays(trained, checked) < 1e-10 and np.abs(losses - checked_losses).max() < 1e-10
    rounded, rounded_losses = train_by_torch(drawn, stream, convention, coefficient, torch.float32)

    # Between two renormalisations the rows are not of unit length; the projection must still be exact.
    stretched = drawn["W_dec"] * torch.tensor(random.uniform(0.5, 2.0, (D_SAE, 1)).astype(np.float32)).double()
    stretched = stretched.float().double()
    _, stretched_grads = gradients(drawn | {"W_dec": stretched}, x, convention, coefficient)
    projected = without_parallel(stretched_grads["W_dec"], stretched)
    assert (projected * stretched).sum(dim=1).abs().max() < 1e-14

    tensors = {"x": x, "train.x": stream, "train.losses": losses, "train.l0": l0}
    tensors |= {f"param.{name}": drawn[name] for name in NAMES}
    tensors |= {f"grad.{name}": grads[name] for name in NAMES}
    tensors |= {"projected.W_dec": without_parallel(grads["W_dec"], drawn["W_dec"])}
    tensors |= {"stretched.W_dec": stretched, "stretched.grad.W_dec": stretched_grads["W_dec"], "stretched.projected.W_dec": projected}
    tensors |= {name: out[name] for name in ("pre", "f", "x_hat", "rowLoss")}
    tensors |= {name: out[name].reshape(1) for name in ("loss", "error", "mse", "l1")}
    tensors |= {f"trained.{name}": trained[name] for name in NAMES}
    tensors |= {f"adam.m.{name}": m[name] for name in NAMES}
    tensors |= {f"adam.v.{name}": v[name] for name in NAMES}
    deviation = dict(losses=np.abs(losses - rounded_losses).max(), trained=strays(trained, rounded))
    print(f"  loss {losses[0]:.4f} -> {losses[-1]:.4f}, L0 {l0[0]:.1f} -> {l0[-1]:.1f}, nearest pre {nearest:.1e}, float32 {deviation}")
    save_tensors(f"sae-{convention}.safetensors", __file__, tensors, {
        "convention": convention, "l1Coefficient": coefficient, "adam": ADAM, "seed": SEEDS[convention],
        "float32Deviation": deviation, "nearestPreActivation": nearest,
    })


if __name__ == "__main__":
    torch.set_num_threads(1)
    for convention in L1_COEFFICIENTS:
        make(convention)
