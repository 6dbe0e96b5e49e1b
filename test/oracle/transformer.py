"""Reference outputs of nanoGPT's model and training step, computed by PyTorch in float64.

Why: the TensorFlow.js model must agree with an implementation that shares no code with it.
Run: pip install torch numpy safetensors && python test/oracle/transformer.py
Writes transformer-{a,b,c}.safetensors beside itself; metadata holds configuration, versions and
how far the same computation in float32 strays from the stored values. README.md lists the tensors.
"""
import math

import numpy as np
import torch

from provenance import save_tensors

VOCABULARY_ROWS, REAL_TOKENS, CONTEXT, BATCH, STEPS = 64, 50, 12, 3, 200
TRAINING = dict(
    learningRate=3e-3, minLearningRate=3e-4, warmupSteps=20, decaySteps=STEPS,
    beta1=0.9, beta2=0.95, epsilon=1e-8, weightDecay=0.1, gradientClip=1.0, steps=STEPS,
)
VARIANTS = {
    "a": dict(nLayer=1, dModel=16, nHead=2, dMlp=64, bias=False, activation="gelu"),
    "b": dict(nLayer=3, dModel=16, nHead=4, dMlp=64, bias=True, activation="gelu-tanh"),
    "c": dict(nLayer=1, dModel=16, nHead=2, dMlp=40, bias=False, activation="relu"),
}
SEEDS = {"a": 102, "b": 202, "c": 303}
LAYER_NORM_EPSILON = 1e-5


def shapes(config):
    d, m = config["dModel"], config["dMlp"]
    weights = {"transformer.wte.weight": (VOCABULARY_ROWS, d), "transformer.wpe.weight": (config.get("contextLength", CONTEXT), d)}
    for layer in range(config["nLayer"]):
        parts = [("ln_1", (d,)), ("attn.c_attn", (3 * d, d)), ("attn.c_proj", (d, d)),
                 ("ln_2", (d,)), ("mlp.c_fc", (m, d)), ("mlp.c_proj", (d, m))]
        for name, shape in parts:
            weights[f"transformer.h.{layer}.{name}.weight"] = shape
            if config["bias"]:
                weights[f"transformer.h.{layer}.{name}.bias"] = shape[:1]
    weights["transformer.ln_f.weight"] = (d,)
    if config["bias"]:
        weights["transformer.ln_f.bias"] = (d,)
    return weights


def draw_parameters(config, random):
    """Standard deviation 0.2, ten times nanoGPT's, so that no gradient is tiny; gains near 1. Exact in float32."""
    drawn = {}
    for name, shape in shapes(config).items():
        values = 0.2 * random.standard_normal(shape)
        if ".ln_" in name and name.endswith("weight"):
            values += 1
        drawn[name] = torch.tensor(values.astype(np.float32).astype(np.float64))
    return drawn


def draw_tokens(random, *lead):
    """Text with something to learn: the next token is 3t + 1 (mod 50) in seven cases of ten, else any real token."""
    tokens = random.randint(0, REAL_TOKENS, size=(*lead, CONTEXT + 1))
    for position in range(1, CONTEXT + 1):
        follow = random.random_sample(lead) < 0.7
        tokens[..., position] = np.where(follow, (3 * tokens[..., position - 1] + 1) % REAL_TOKENS, tokens[..., position])
    return tokens


def layer_norm(x, p, name):
    centred = x - x.mean(-1, keepdim=True)
    variance = (centred**2).mean(-1, keepdim=True)
    y = centred / torch.sqrt(variance + LAYER_NORM_EPSILON) * p[f"{name}.weight"]
    return y + p[f"{name}.bias"] if f"{name}.bias" in p else y


def linear(x, p, name):
    y = x @ p[f"{name}.weight"].T
    return y + p[f"{name}.bias"] if f"{name}.bias" in p else y


def activate(x, kind):
    if kind == "relu":
        return torch.where(x > 0, x, torch.zeros_like(x))
    if kind == "gelu":
        return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def attention(x, p, name, heads):
    """Causal attention; returns every head's output side by side, before the output projection."""
    width = x.shape[-1] // heads
    q, k, v = linear(x, p, f"{name}.c_attn").split(x.shape[-1], dim=-1)
    visible = torch.ones(x.shape[1], x.shape[1]).tril().bool()
    outputs = []
    for head in range(heads):
        part = slice(head * width, (head + 1) * width)
        scores = q[..., part] @ k[..., part].transpose(1, 2) / math.sqrt(width)
        outputs.append(torch.softmax(scores.masked_fill(~visible, float("-inf")), dim=-1) @ v[..., part])
    return torch.cat(outputs, dim=-1)


def forward(p, tokens, config):
    """Logits over all padded vocabulary rows, and every hook activation by its TransformerLens name."""
    hooks = {}
    x = p["transformer.wte.weight"][tokens] + p["transformer.wpe.weight"][: tokens.shape[1]]
    for layer in range(config["nLayer"]):
        name, hook = f"transformer.h.{layer}", f"blocks.{layer}"
        hooks[f"{hook}.hook_resid_pre"] = x
        z = attention(layer_norm(x, p, f"{name}.ln_1"), p, f"{name}.attn", config["nHead"])
        hooks[f"{hook}.attn.hook_z"] = z
        hooks[f"{hook}.hook_attn_out"] = linear(z, p, f"{name}.attn.c_proj")
        x = x + hooks[f"{hook}.hook_attn_out"]
        hooks[f"{hook}.hook_resid_mid"] = x
        hooks[f"{hook}.mlp.hook_pre"] = linear(layer_norm(x, p, f"{name}.ln_2"), p, f"{name}.mlp.c_fc")
        hooks[f"{hook}.mlp.hook_post"] = activate(hooks[f"{hook}.mlp.hook_pre"], config["activation"])
        hooks[f"{hook}.hook_mlp_out"] = linear(hooks[f"{hook}.mlp.hook_post"], p, f"{name}.mlp.c_proj")
        x = x + hooks[f"{hook}.hook_mlp_out"]
        hooks[f"{hook}.hook_resid_post"] = x
    return layer_norm(x, p, "transformer.ln_f") @ p["transformer.wte.weight"].T, hooks


def cross_entropy(logits, targets):
    """Mean over all positions of the batch."""
    return (torch.logsumexp(logits, -1) - logits.gather(-1, targets[..., None])[..., 0]).mean()


def learning_rate(step):
    """nanoGPT's get_lr, for a 0-based step."""
    t = TRAINING
    if step < t["warmupSteps"]:
        return t["learningRate"] * (step + 1) / (t["warmupSteps"] + 1)
    share = (step - t["warmupSteps"]) / (t["decaySteps"] - t["warmupSteps"])
    cosine = 0.5 * (1 + math.cos(math.pi * share))
    return t["minLearningRate"] + cosine * (t["learningRate"] - t["minLearningRate"])


def train(initial, batches, config, dtype):
    """Trains on batches [steps, accumulation, B, T+1]. Losses are before each step, gradient norms before clipping."""
    p = {name: value.to(dtype, copy=True).requires_grad_() for name, value in initial.items()}
    matrices = [value for value in p.values() if value.dim() >= 2]
    vectors = [value for value in p.values() if value.dim() < 2]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": TRAINING["weightDecay"]}, {"params": vectors, "weight_decay": 0.0}],
        lr=TRAINING["learningRate"], betas=(TRAINING["beta1"], TRAINING["beta2"]), eps=TRAINING["epsilon"], foreach=False,
    )
    losses, norms = [], []
    for step, parts in enumerate(batches):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step)
        optimizer.zero_grad()
        total = 0.0
        for part in parts:
            logits, _ = forward(p, part[:, :-1], config)
            loss = cross_entropy(logits, part[:, 1:]) / len(parts)
            loss.backward()
            total += loss.item()
        losses.append(total)
        norms.append(torch.nn.utils.clip_grad_norm_(p.values(), TRAINING["gradientClip"]).item())
        optimizer.step()
    return p, np.array(losses), np.array(norms)


def train_by_hand(initial, batches, config):
    """The same steps with the clipping and AdamW written out: states what the stored numbers mean, and checks them."""
    t = TRAINING
    p = {name: value.clone() for name, value in initial.items()}
    m = {name: torch.zeros_like(value) for name, value in p.items()}
    v = {name: torch.zeros_like(value) for name, value in p.items()}
    for step, parts in enumerate(batches):
        leaves = {name: value.clone().requires_grad_() for name, value in p.items()}
        loss = sum(cross_entropy(forward(leaves, part[:, :-1], config)[0], part[:, 1:]) for part in parts) / len(parts)
        gradients = dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values()))))
        norm = math.sqrt(sum((g**2).sum().item() for g in gradients.values()))
        scale = min(1.0, t["gradientClip"] / (norm + 1e-6))
        rate = learning_rate(step)
        for name, gradient in gradients.items():
            g = gradient * scale
            if p[name].dim() >= 2:
                p[name] = p[name] * (1 - rate * t["weightDecay"])
            m[name] = t["beta1"] * m[name] + (1 - t["beta1"]) * g
            v[name] = t["beta2"] * v[name] + (1 - t["beta2"]) * g**2
            m_hat = m[name] / (1 - t["beta1"] ** (step + 1))
            v_hat = v[name] / (1 - t["beta2"] ** (step + 1))
            p[name] = p[name] - rate * m_hat / (v_hat.sqrt() + t["epsilon"])
    return p


def check_against_torch(p, tokens, targets, config):
    """The formulas above against PyTorch's own layers."""
    F = torch.nn.functional
    d, heads = config["dModel"], config["nHead"]
    activation = {"gelu": F.gelu, "relu": F.relu, "gelu-tanh": lambda x: F.gelu(x, approximate="tanh")}[config["activation"]]
    batch, length = tokens.shape
    x = F.embedding(tokens, p["transformer.wte.weight"]) + p["transformer.wpe.weight"]

    def norm(x, name):
        return F.layer_norm(x, (d,), p[f"{name}.weight"], p.get(f"{name}.bias"), LAYER_NORM_EPSILON)

    def dense(x, name):
        return F.linear(x, p[f"{name}.weight"], p.get(f"{name}.bias"))

    for layer in range(config["nLayer"]):
        name = f"transformer.h.{layer}"
        split = dense(norm(x, f"{name}.ln_1"), f"{name}.attn.c_attn").split(d, dim=2)
        q, k, v = (part.view(batch, length, heads, d // heads).transpose(1, 2) for part in split)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(batch, length, d)
        x = x + dense(y, f"{name}.attn.c_proj")
        x = x + dense(activation(dense(norm(x, f"{name}.ln_2"), f"{name}.mlp.c_fc")), f"{name}.mlp.c_proj")
    logits = norm(x, "transformer.ln_f") @ p["transformer.wte.weight"].T
    return logits, F.cross_entropy(logits.view(-1, VOCABULARY_ROWS), targets.reshape(-1))


def without_key_bias(name, value, config):
    """The key bias has a gradient of exactly zero (softmax ignores it), so in float32 Adam turns rounding into steps."""
    if not name.endswith("c_attn.bias"):
        return value
    d = config["dModel"]
    return torch.cat([value[:d], value[2 * d :]])


def strays(exact, rounded, config):
    return max(
        (without_key_bias(name, exact[name], config) - without_key_bias(name, rounded[name], config).double()).abs().max().item()
        for name in exact
    )


def run_training(prefix, initial, tokens, config):
    """Stored training tensors and how far float32 strays from them."""
    batches = torch.tensor(tokens)
    parts = batches if batches.dim() == 4 else batches[:, None]
    trained, losses, norms = train(initial, parts, config, torch.float64)
    by_hand = train_by_hand(initial, parts, config)
    assert strays(trained, by_hand, config) < 1e-9
    rounded, rounded_losses, rounded_norms = train(initial, parts, config, torch.float32)
    tensors = {
        f"{prefix}train.tokens": tokens, f"{prefix}train.losses": losses, f"{prefix}train.gradNorms": norms,
        f"{prefix}train.learningRates": np.array([learning_rate(step) for step in range(STEPS)]),
    }
    tensors |= {f"{prefix}trained.{name}": value for name, value in trained.items()}
    deviation = dict(
        losses=np.abs(losses - rounded_losses).max(), gradNorms=np.abs(norms - rounded_norms).max(),
        trainedWithoutKeyBias=strays(trained, rounded, config),
    )
    print(f"  {prefix or 'plain '} loss {losses[0]:.3f} -> {losses[-1]:.3f}, norm {norms.min():.2f}..{norms.max():.2f}, float32 {deviation}")
    return tensors, deviation


def make(variant):
    config, random = VARIANTS[variant], np.random.RandomState(SEEDS[variant])
    initial = draw_parameters(config, random)
    text = draw_tokens(random, BATCH)
    tokens, targets = torch.tensor(text[:, :-1]), torch.tensor(text[:, 1:])

    leaves = {name: value.clone().requires_grad_() for name, value in initial.items()}
    logits, hooks = forward(leaves, tokens, config)
    loss = cross_entropy(logits, targets)
    gradients = dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values()))))
    torch_logits, torch_loss = check_against_torch(leaves, tokens, targets, config)
    assert (logits - torch_logits).abs().max() < 1e-12 and (loss - torch_loss).abs() < 1e-12

    tensors = {f"param.{name}": value for name, value in initial.items()}
    tensors |= {f"grad.{name}": value for name, value in gradients.items()}
    tensors |= {f"hook.{name}": value for name, value in hooks.items()}
    tensors |= {"tokens": text[:, :-1], "targets": text[:, 1:], "logits": logits, "loss": loss.reshape(1)}

    plain, deviation = run_training("", initial, draw_tokens(random, STEPS, BATCH), config)
    tensors |= plain
    deviations = {"plain": deviation}
    if variant == "a":
        accumulated, deviation = run_training("accum2.", initial, draw_tokens(random, STEPS, 2, BATCH), config)
        tensors |= accumulated
        deviations["accum2"] = deviation
    architecture = config | dict(vocabularyRows=VOCABULARY_ROWS, realTokens=REAL_TOKENS, contextLength=CONTEXT)
    save_tensors(f"transformer-{variant}.safetensors", __file__, tensors, {
        "architecture": architecture, "training": TRAINING, "float32Deviation": deviations, "seed": SEEDS[variant],
    })


if __name__ == "__main__":
    torch.set_num_threads(1)
    for variant in VARIANTS:
        make(variant)
