"""The SAE's training step in plain PyTorch on the CPU, float32 or bfloat16 autocast: forward, loss, backward, the
decoder gradient's parallel part removed, fused Adam, decoder rows back to unit norm.

Options: file (W_enc, b_enc, W_dec, b_dec, x [batches, n, d]), learningRate, l1Coefficient, beta1, beta2, epsilon,
autocast, threads.
"""
import torch
from safetensors.torch import load_file

from serve import options, serve


def set_up():
    given = options()
    torch.set_num_threads(given["threads"])
    tensors = load_file(given["file"])
    w_enc, b_enc, w_dec, b_dec = parameters = [torch.nn.Parameter(tensors[name]) for name in ("W_enc", "b_enc", "W_dec", "b_dec")]
    x = tensors["x"]
    optimizer = torch.optim.Adam(parameters, lr=given["learningRate"], betas=(given["beta1"], given["beta2"]), eps=given["epsilon"], fused=True)
    l1 = given["l1Coefficient"]

    def loss_of(batch):
        with torch.autocast("cpu", torch.bfloat16, enabled=given["autocast"]):
            f = torch.relu(torch.addmm(b_enc, batch - b_dec, w_enc))
            error = torch.addmm(b_dec, f, w_dec) - batch
            return error.float().pow(2).sum(dim=1).mean() + l1 * f.float().sum(dim=1).mean()

    def step(index):
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(x[index % x.shape[0]])
        loss.backward()
        with torch.no_grad():
            w_dec.grad.sub_((w_dec.grad * w_dec).sum(dim=1, keepdim=True) * w_dec)
        optimizer.step()
        with torch.no_grad():
            w_dec.div_(w_dec.norm(dim=1, keepdim=True))
        return dict(loss=loss.item())

    return f"PyTorch {torch.__version__} {'bf16 autocast' if given['autocast'] else 'f32'}", torch.get_num_threads(), step


serve(set_up)
