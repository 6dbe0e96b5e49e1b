"""nanoGPT's GPT (karpathy/nanoGPT, model.py) re-stated: pre-LayerNorm blocks, scaled_dot_product_attention, exact GELU,
tied unembedding, dropout 0. Module names are nanoGPT's, so that weights load by name.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F


class LayerNorm(nn.Module):
    """torch.nn.LayerNorm with an optional bias, as nanoGPT has it."""

    def __init__(self, width, bias):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width)) if bias else None

    def forward(self, x):
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, 1e-5)


class Attention(nn.Module):
    def __init__(self, width, heads, bias):
        super().__init__()
        self.heads = heads
        self.c_attn = nn.Linear(width, 3 * width, bias=bias)
        self.c_proj = nn.Linear(width, width, bias=bias)

    def forward(self, x):
        batch, length, width = x.shape
        q, k, v = (part.view(batch, length, self.heads, width // self.heads).transpose(1, 2) for part in self.c_attn(x).split(width, dim=2))
        z = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(z.transpose(1, 2).contiguous().view(batch, length, width))


class MLP(nn.Module):
    def __init__(self, width, hidden, bias):
        super().__init__()
        self.c_fc = nn.Linear(width, hidden, bias=bias)
        self.gelu = nn.GELU()
        self.c_proj = nn.Linear(hidden, width, bias=bias)

    def forward(self, x):
        return self.c_proj(self.gelu(self.c_fc(x)))


class Block(nn.Module):
    def __init__(self, width, heads, hidden, bias):
        super().__init__()
        self.ln_1 = LayerNorm(width, bias)
        self.attn = Attention(width, heads, bias)
        self.ln_2 = LayerNorm(width, bias)
        self.mlp = MLP(width, hidden, bias)

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GPT(nn.Module):
    """`architecture` has the field names of the project's configuration."""

    def __init__(self, architecture, vocab_rows):
        super().__init__()
        layers, heads, width, hidden, context, bias = (architecture[name] for name in ("nLayer", "nHead", "dModel", "dMlp", "contextLength", "bias"))
        if architecture["activation"] != "gelu":
            raise ValueError(f"activation {architecture['activation']}: nanoGPT's is the exact GELU")
        self.transformer = nn.ModuleDict(dict(
            wte=nn.Embedding(vocab_rows, width),
            wpe=nn.Embedding(context, width),
            h=nn.ModuleList([Block(width, heads, hidden, bias) for _ in range(layers)]),
            ln_f=LayerNorm(width, bias),
        ))
        self.lm_head = nn.Linear(width, vocab_rows, bias=False)
        self.transformer.wte.weight = self.lm_head.weight

    def load(self, tensors, prefix):
        """Weights by nanoGPT's names, each with `prefix` before it in `tensors`."""
        state = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
        missing, unexpected = self.load_state_dict(state, strict=False)
        if missing != ["lm_head.weight"] or unexpected:
            raise ValueError(f"weights don't fit: missing {missing}, unexpected {unexpected}")

    def forward(self, tokens, targets):
        x = self.transformer.wte(tokens) + self.transformer.wpe(torch.arange(tokens.shape[1]))
        for block in self.transformer.h:
            x = block(x)
        logits = self.lm_head(self.transformer.ln_f(x))
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), targets.view(-1))

    def optimizer(self, training):
        """AdamW with decay on matrices only, fused."""
        parameters = [parameter for parameter in self.parameters() if parameter.requires_grad]
        groups = [
            dict(params=[p for p in parameters if p.dim() >= 2], weight_decay=training["weightDecay"]),
            dict(params=[p for p in parameters if p.dim() < 2], weight_decay=0.0),
        ]
        return torch.optim.AdamW(groups, lr=training["learningRate"], betas=(training["beta1"], training["beta2"]), eps=training["epsilon"], fused=True)
