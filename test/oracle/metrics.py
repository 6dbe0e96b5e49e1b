"""Reference values of the evaluation's formulas on tiny cases, in plain Python.

Why: L0, the fraction of variance unexplained and loss recovered each have look-alikes (a mean over the wrong axis, the
complement, a mean per batch instead of over all rows); here each is one line.
Run: pip install numpy safetensors && python test/oracle/metrics.py
Writes metrics.json beside itself.
"""
import math

from provenance import save_json

X = [[1.0, 2.0, -1.0], [0.5, 0.0, 3.0], [-2.0, 1.0, 0.25], [4.0, -1.5, 2.0], [0.0, 0.0, 0.0], [1.5, 2.5, -3.5]]
X_HAT = [[0.75, 2.0, -1.25], [0.5, 0.5, 2.5], [-1.5, 1.0, 0.0], [3.0, -1.0, 2.0], [0.25, 0.0, -0.25], [1.5, 2.0, -3.0]]
F = [[0.5, 0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 2.0, 0.0, 0.0], [0.25, 0.0, 0.75, 1.5, 0.0], [3.0, 0.0, 0.0, 0.0, 0.0],
     [0.0, 0.0, 0.0, 0.0, 0.0], [1.25, 0.0, 0.5, 0.125, 0.0]]
# The last two are out of [0, 1]: a reconstruction better than the clean run, and one worse than zero-ablation.
LOSSES = [
    dict(clean=4.5, reconstructed=4.625, zero=5.5, mean=5.0), dict(clean=3.0, reconstructed=3.0, zero=7.0, mean=6.0),
    dict(clean=4.0, reconstructed=3.75, zero=5.0, mean=4.5), dict(clean=4.0, reconstructed=5.5, zero=5.0, mean=4.5),
]
SCORES = [0.0, 0.0, 0.1, 0.4, 0.4, 0.35, 0.8, 0.9, 0.0, 0.6]
LABELS = [0, 0, 0, 0, 1, 1, 1, 1, 1, 0]


def squared_error(a, b):
    return sum((p - q) ** 2 for row_a, row_b in zip(a, b) for p, q in zip(row_a, row_b))


def reconstruction():
    rows, d = len(X), len(X[0])
    mean = [sum(row[i] for row in X) / rows for i in range(d)]
    density = [sum(row[j] > 0 for row in F) / rows for j in range(len(F[0]))]
    fvu = squared_error(X, X_HAT) / squared_error(X, [mean] * rows)
    return dict(
        l0=sum(value > 0 for row in F for value in row) / rows,
        l1=sum(abs(value) for row in F for value in row) / rows,
        mse=squared_error(X, X_HAT) / (rows * d),
        fvu=fvu,
        varianceExplained=1 - fvu,
        density=density,
        log10Density=[math.log10(value) if value > 0 else None for value in density],
        fired=[sum(row[j] > 0 for row in F) for j in range(len(F[0]))],
    )


def recovered(losses):
    share = (losses["zero"] - losses["reconstructed"]) / (losses["zero"] - losses["clean"])
    return losses | dict(lossRecovered=share, seedNllScore=1 - share)


def auroc():
    """Probability that a positive scores above a negative; ties count half."""
    positives = [score for score, label in zip(SCORES, LABELS) if label]
    negatives = [score for score, label in zip(SCORES, LABELS) if not label]
    wins = sum((p > n) + 0.5 * (p == n) for p in positives for n in negatives)
    return wins / (len(positives) * len(negatives))


def f1_at(threshold):
    """The probe is predicted where score >= threshold."""
    hits = sum(score >= threshold and label for score, label in zip(SCORES, LABELS))
    predicted = sum(score >= threshold for score in SCORES)
    return dict(threshold=threshold, f1=2 * hits / (predicted + sum(LABELS)), precision=hits / predicted, recall=hits / sum(LABELS))


def main():
    by_threshold = [f1_at(threshold) for threshold in sorted({score for score in SCORES if score > 0})]
    save_json("metrics.json", __file__, {
        "x": X, "xHat": X_HAT, "f": F, "expected": reconstruction(),
        "losses": [recovered(losses) for losses in LOSSES],
        "probe": dict(scores=SCORES, labels=LABELS, auroc=auroc(), byThreshold=by_threshold,
                      bestF1=max(by_threshold, key=lambda row: row["f1"])),
    })


if __name__ == "__main__":
    main()
