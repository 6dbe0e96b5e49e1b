"""The reference's SAE training (shehper/sparse-dictionary-learning, after Bricken et al. 2023), its published procedure
written again in plain PyTorch: the curves it gives on activations, an order and initial weights given by the bench.

As the reference does and the project does not: decoder columns are normalised every `renormaliseEvery` steps (1,000 in
the reference; between them the projected gradient lets their norms grow), and the candidates of a resampling are drawn
from the whole data, not taken as the next in a shuffled order.
Options: data (x [N, d]), start (W_enc, b_enc, W_dec, b_dec, order), steps, batchSize, learningRate, l1Coefficient,
renormaliseEvery, resampling {steps, deadWindowSteps, candidates}, logEvery, seed, threads. Answers with one line of JSON.
"""
import json
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import load_file


class AutoEncoder(torch.nn.Module):
    def __init__(self, start):
        super().__init__()
        d, features = start["W_enc"].shape
        self.encoder, self.decoder = torch.nn.Linear(d, features), torch.nn.Linear(features, d)
        with torch.no_grad():
            for parameter, value in ((self.encoder.weight, start["W_enc"].T), (self.encoder.bias, start["b_enc"]), (self.decoder.weight, start["W_dec"].T), (self.decoder.bias, start["b_dec"])):
                parameter.copy_(value)

    def forward(self, x):
        f = torch.relu(self.encoder(x - self.decoder.bias))
        return f, self.decoder(f)

    @torch.no_grad()
    def normalise_decoder(self):
        self.decoder.weight.copy_(F.normalize(self.decoder.weight, dim=0))

    @torch.no_grad()
    def remove_parallel_gradient(self):
        unit = F.normalize(self.decoder.weight, dim=0)
        self.decoder.weight.grad -= (self.decoder.weight.grad * unit).sum(dim=0) * unit


def terms(x, f, x_hat):
    """Of each vector: squared error, mean over components, and L1."""
    return (x - x_hat).pow(2).mean(dim=1), f.abs().sum(dim=1)


@torch.no_grad()
def resample(model, optimizer, dead, candidates, l1_coefficient, random):
    """Each dead feature takes the direction of a vector drawn with p in proportion to its loss squared."""
    losses = []
    for x in candidates.split(8_192):
        error, l1 = terms(x, *model(x))
        losses.append(error + l1_coefficient * l1)
    chosen = torch.multinomial(torch.cat(losses).double() ** 2, len(dead), replacement=False, generator=random)
    alive = torch.ones(len(model.encoder.bias), dtype=torch.bool)
    alive[dead] = False
    norm = 0.2 * model.encoder.weight[alive].norm(dim=1).mean()
    directions = F.normalize(candidates[chosen], dim=1)
    model.encoder.weight[dead], model.encoder.bias[dead], model.decoder.weight[:, dead] = norm * directions, 0.0, directions.T
    for moment in ("exp_avg", "exp_avg_sq"):
        optimizer.state[model.encoder.weight][moment][dead] = 0
        optimizer.state[model.encoder.bias][moment][dead] = 0
        optimizer.state[model.decoder.weight][moment][:, dead] = 0


def train(given):
    data, start = load_file(given["data"])["x"], load_file(given["start"])
    model = AutoEncoder(start)
    optimizer = torch.optim.Adam(model.parameters(), lr=given["learningRate"])
    random = torch.Generator().manual_seed(given["seed"])
    resampling, order, batch = given["resampling"], start["order"].long(), given["batchSize"]
    last_fired = torch.full((len(model.encoder.bias),), -1)
    curve, resampled, sums = [], [], torch.zeros(2, dtype=torch.float64)

    def dead_at(step):
        return last_fired < step - min(step, resampling["deadWindowSteps"])

    for step in range(given["steps"]):
        if step in resampling["steps"]:
            dead = dead_at(step).nonzero().flatten()
            resampled.append(len(dead))
            if len(dead) > 0:
                rows = torch.randperm(len(data), generator=random)[: resampling["candidates"]]
                resample(model, optimizer, dead, data[rows], given["l1Coefficient"], random)
        if step % given["renormaliseEvery"] == 0:
            model.normalise_decoder()
        x = data[order[step * batch : (step + 1) * batch]]
        f, x_hat = model(x)
        error, l1 = (term.mean() for term in terms(x, f, x_hat))
        optimizer.zero_grad()
        (error + given["l1Coefficient"] * l1).backward()
        model.remove_parallel_gradient()
        optimizer.step()
        active = (f > 0).sum(dim=0)
        last_fired[active > 0] = step
        sums += torch.tensor([error.item(), active.sum().item() / batch])
        if (step + 1) % given["logEvery"] == 0:
            mse, l0 = (sums / given["logEvery"]).tolist()
            curve.append(dict(step=step + 1, mse=mse, l0=l0, alive=int((~dead_at(step + 1)).sum())))
            sums.zero_()
    return dict(version=f"PyTorch {torch.__version__}", curve=curve, resampled=resampled)


if __name__ == "__main__":
    options = json.loads(sys.argv[1])
    torch.set_num_threads(options["threads"])
    print(json.dumps(train(options)))
