"""A resampling of dead features small enough to follow by hand, in plain Python.

Why: which row replaces which feature, which norm is used and which optimizer moments are zeroed decide whether two
runs agree; in the centred case every norm is a whole number, so that each output can be checked on paper.
Run: pip install numpy safetensors && python test/oracle/resampling.py
Writes resampling.json beside itself, for directions `centred` (x - b_dec) and `raw` (x).
"""
import copy
import math

from provenance import save_json

D_IN, D_SAE, ENCODER_NORM_SCALE = 4, 6, 0.2
DEAD = [1, 3, 4]
# Row 0 has weight 0 and u = 0 must not take it; 0.35 takes row 3 only if the rows chosen before were removed.
UNIFORMS = [0.0, 0.999, 0.35]
LOSSES = [0.0, 1.0, 2.0, 3.0, 0.5, 1.0, 4.0, 2.0, 1.5, 2.5]
B_DEC = [0.5, -0.25, 0.0, 1.0]
# Offsets from b_dec: those of the rows chosen (1, 9, 3) have norms 5, 5 and 10.
OFFSETS = [
    [1, 0, 0, 0], [3, 4, 0, 0], [0, 1, 0, 1], [4, -2, 8, -4], [1, 1, 1, 1],
    [-1, 2, 0, 0], [5, 0, -1, 2], [0, 0, 0, -3], [2, 2, -2, 0], [1, -2, 2, 4],
]
# Columns of W_enc by feature: alive ones (0, 2, 5) have norms 1, 2 and 3, the mean is 2; dead ones are large.
ENCODER_COLUMNS = [[1, 0, 0, 0], [9, 0, 0, 0], [0, 2, 0, 0], [0, 0, 7, 0], [0, 0, 0, 8], [1, 2, 2, 0]]
DECODER_ROWS = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0.6, 0.8, 0, 0], [0, 0, -1, 0]]
B_ENC = [0.1, -5.0, 0.2, -6.0, -7.0, 0.3]


def choose_rows(losses, uniforms):
    """Without replacement, p in proportion to loss squared, by the inverse of the cumulative weight in row order."""
    remaining, chosen = list(range(len(losses))), []
    for u in uniforms:
        target = u * sum(losses[row] ** 2 for row in remaining)
        cumulative = 0.0
        for row in remaining:
            cumulative += losses[row] ** 2
            if cumulative > target:
                break
        chosen.append(row)
        remaining.remove(row)
    return chosen


def norm(vector):
    return math.sqrt(sum(value * value for value in vector))


def column(matrix, j):
    return [row[j] for row in matrix]


def resample(before, candidates, direction):
    after = copy.deepcopy(before)
    alive = [j for j in range(D_SAE) if j not in DEAD]
    mean_alive_norm = sum(norm(column(before["param"]["W_enc"], j)) for j in alive) / len(alive)
    records = []
    for j, source in zip(DEAD, choose_rows(LOSSES, UNIFORMS)):
        x = candidates[source]
        vector = [value - b for value, b in zip(x, B_DEC)] if direction == "centred" else x
        unit = [value / norm(vector) for value in vector]
        after["param"]["W_dec"][j] = unit
        after["param"]["b_enc"][j] = 0.0
        for i in range(D_IN):
            after["param"]["W_enc"][i][j] = unit[i] * ENCODER_NORM_SCALE * mean_alive_norm
        for moments in ("adam.m", "adam.v"):
            after[moments]["W_dec"][j] = [0.0] * D_IN
            after[moments]["b_enc"][j] = 0.0
            for i in range(D_IN):
                after[moments]["W_enc"][i][j] = 0.0
        records.append(dict(
            feature=j, sourceRow=source,
            encoderNormBefore=norm(column(before["param"]["W_enc"], j)), encoderNormAfter=norm(column(after["param"]["W_enc"], j)),
            decoderNormBefore=norm(before["param"]["W_dec"][j]), decoderNormAfter=norm(after["param"]["W_dec"][j]),
        ))
    return dict(meanAliveEncoderNorm=mean_alive_norm, records=records, **after)


def counting(start, sign=1):
    """Moments that are all different and none zero, exact in float32."""
    number = iter(range(start, start + 1_000))

    def take():
        return sign * next(number) / 64

    return dict(
        W_enc=[[take() for _ in range(D_SAE)] for _ in range(D_IN)], b_enc=[take() for _ in range(D_SAE)],
        W_dec=[[take() for _ in range(D_IN)] for _ in range(D_SAE)], b_dec=[take() for _ in range(D_IN)],
    )


def main():
    before = {
        "param": dict(
            W_enc=[[float(ENCODER_COLUMNS[j][i]) for j in range(D_SAE)] for i in range(D_IN)], b_enc=B_ENC,
            W_dec=[[float(value) for value in row] for row in DECODER_ROWS], b_dec=B_DEC,
        ),
        "adam.m": counting(1, sign=-1), "adam.v": counting(101),
    }
    candidates = [[value + b for value, b in zip(offset, B_DEC)] for offset in OFFSETS]
    assert choose_rows(LOSSES, UNIFORMS) == [1, 9, 3]
    draws = [[0.5] * 6, [0.0] * 4, [0.999999] * 4, [0.25, 0.75, 0.125, 0.875, 0.3]]
    save_json("resampling.json", __file__, {
        "dIn": D_IN, "dSae": D_SAE, "encoderNormScale": ENCODER_NORM_SCALE,
        "dead": DEAD, "uniforms": UNIFORMS, "losses": LOSSES, "candidates": candidates,
        "moreDraws": [dict(uniforms=uniforms, sourceRows=choose_rows(LOSSES, uniforms)) for uniforms in draws],
        "before": before,
        "after": {direction: resample(before, candidates, direction) for direction in ("centred", "raw")},
    })


if __name__ == "__main__":
    main()
