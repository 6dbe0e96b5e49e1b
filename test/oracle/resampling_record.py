"""One resampling from files to record, in plain Python: which features are dead, which rows of which batches replace
them, norms and losses before and after, and the whole training state that results.

Why: resampling.json fixes the arithmetic of one replacement; here the inputs are what a run has (activation shards in a
shuffled order, a checkpoint, a seed), so that the dead window, the batches read, the stream of random numbers, the
units of the inputs and what is written down are fixed too. Numbers are chosen so that every loss before is exact in
float32.
Run: pip install numpy safetensors && python test/oracle/resampling_record.py
Writes resamplingRecord.json beside itself.
"""
import copy

from provenance import save_json
from random_stream import RandomStream
from resampling import choose_rows, column, counting, norm

SEED, D, FEATURES, BATCH = 5, 4, 6, 4
SHARD_ROWS = [10, 14]
STEP, WINDOW, CANDIDATES, ENCODER_NORM_SCALE = 4, 3, 10, 0.2
# Inputs are multiplied by this in training: exact in binary, and no loss is right without it.
SCALE = 2.0
L1_COEFFICIENT = 0.25
# As of step 4 the window is steps 1, 2, 3: features last seen at step 0 or never are dead.
LAST_FIRED = [3, 0, 1, -1, 2, 0]
# Columns by feature: alive ones (0, 2, 4) have norms 1, 2 and 3, the mean is 2.
ENCODER_COLUMNS = [[1, 0, 0, 0], [4, 0, 0, 0], [0, 2, 0, 0], [0, 0, 5, 0], [1, 2, 0, 2], [0, 0, 0, 6]]
DECODER_ROWS = [[1, 0, 0, 0], [0, 0, 0, 1], [0, 1, 0, 0], [0.6, 0.8, 0, 0], [0, 0, 1, 0], [0, 0, -1, 0]]
B_ENC = [0.25, -50.0, -0.5, -60.0, 0.5, -70.0]
B_DEC = [0.5, -0.25, 0.0, 1.0]


def rows_at_rest():
    """Sixteenths between -1 and 1: exact in float16."""
    stream = RandomStream(SEED, "oracle", "rows")
    return [[[(stream.integer(33) - 16) / 16 for _ in range(D)] for _ in range(rows)] for rows in SHARD_ROWS]


def reading_order(shards):
    """One epoch, one shard at a time: shards in random order, the rows of each in random order."""
    order = []
    for group, shard in enumerate(RandomStream(SEED, "shuffledReader", "shards", 0).permutation(len(shards))):
        order += [shards[shard][row] for row in RandomStream(SEED, "shuffledReader", "rows", 0, group).permutation(len(shards[shard]))]
    return order


def loss_of(p, x, convention):
    centred = [value - b for value, b in zip(x, p["b_dec"])]
    pre = [sum(c * w for c, w in zip(centred, column(p["W_enc"], j))) + p["b_enc"][j] for j in range(FEATURES)]
    f = [max(0.0, value) for value in pre]
    x_hat = [sum(f[j] * p["W_dec"][j][i] for j in range(FEATURES)) + p["b_dec"][i] for i in range(D)]
    squares = sum((a - b) ** 2 for a, b in zip(x, x_hat))
    return (squares / D if convention == "mean" else squares) + L1_COEFFICIENT * sum(f)


def mean(values):
    return sum(values) / len(values)


def resample(before, batches, convention, direction):
    """The record, and the state after it."""
    total = len(batches)
    count = -(-CANDIDATES // BATCH)
    numbers = [(STEP + index) % total for index in range(count)]
    candidates = [[value * SCALE for value in row] for number in numbers for row in batches[number]]
    losses = [loss_of(before["param"], x, convention) for x in candidates]
    dead = [j for j, last in enumerate(LAST_FIRED) if last < STEP - WINDOW]
    stream = RandomStream(SEED, "trainSae", "resampling", STEP)
    chosen = choose_rows(losses, [stream.uniform() for _ in dead])
    encoder_norm = ENCODER_NORM_SCALE * mean([norm(column(before["param"]["W_enc"], j)) for j in range(FEATURES) if j not in dead])

    after, replaced = copy.deepcopy(before), []
    for j, source in zip(dead, chosen):
        vector = [x - (b if direction == "centred" else 0) for x, b in zip(candidates[source], B_DEC)]
        unit = [value / norm(vector) for value in vector]
        for name, row in (("param", unit), ("adam.m", [0.0] * D), ("adam.v", [0.0] * D)):
            after[name]["W_dec"][j] = row
            after[name]["b_enc"][j] = 0.0
            for i in range(D):
                after[name]["W_enc"][i][j] = row[i] * encoder_norm
        replaced.append(dict(
            feature=j, encoderNormBefore=norm(column(before["param"]["W_enc"], j)), encoderNormAfter=encoder_norm,
            decoderNormBefore=norm(before["param"]["W_dec"][j]), candidate=source, batch=numbers[source // BATCH], row=source % BATCH,
            candidateLoss=losses[source],
        ))
    record = dict(
        step=STEP, dead=dead, deadWindowSteps=WINDOW, candidates=len(candidates), lossBefore=mean(losses),
        lossAfter=mean([loss_of(after["param"], x, convention) for x in candidates]), replaced=replaced,
    )
    print(f"  {convention}, {direction}: dead {dead}, batches {numbers}, drawn {chosen}, loss {record['lossBefore']:.4f} -> {record['lossAfter']:.4f}")
    return dict(convention=convention, direction=direction, record=record, after=after)


def main():
    before = {
        "param": dict(
            W_enc=[[float(ENCODER_COLUMNS[j][i]) for j in range(FEATURES)] for i in range(D)], b_enc=B_ENC,
            W_dec=[[float(value) for value in row] for row in DECODER_ROWS], b_dec=B_DEC,
        ),
        "adam.m": counting(1, sign=-1), "adam.v": counting(101),
    }
    shards = rows_at_rest()
    order = reading_order(shards)
    batches = [order[start:start + BATCH] for start in range(0, len(order) - BATCH + 1, BATCH)]
    save_json("resamplingRecord.json", __file__, {
        "seed": SEED, "d": D, "features": FEATURES, "batchSize": BATCH, "scale": SCALE, "l1Coefficient": L1_COEFFICIENT,
        "step": STEP, "deadWindowSteps": WINDOW, "candidates": CANDIDATES, "encoderNormScale": ENCODER_NORM_SCALE,
        "shards": shards, "lastFired": LAST_FIRED, "before": before,
        "cases": [resample(before, batches, convention, direction) for convention, direction in (("mean", "centred"), ("sum", "raw"))],
    })


if __name__ == "__main__":
    main()
