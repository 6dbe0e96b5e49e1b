"""Reference geometric medians in float64: the decoder bias starts at one (Bricken et al.).

Why: Weiszfeld's iteration converges slowly and divides by zero when it meets a data point; these values come from it
followed by Newton's method, and are checked by the optimality condition itself.
Run: pip install numpy safetensors && python test/oracle/geometric_median.py
Writes geometricMedian.json beside itself. Points are exact in float32.
"""
import math

import numpy as np

from provenance import save_json


def geometric_median(points):
    """Weiszfeld from the coordinate-wise median, then Newton; for a minimum that is not a data point."""
    y = np.median(points, axis=0) + 1e-3
    for _ in range(2_000):
        weights = 1 / np.linalg.norm(points - y, axis=1)
        y = weights @ points / weights.sum()
    for _ in range(20):
        offsets = y - points
        distances = np.linalg.norm(offsets, axis=1)
        units = offsets / distances[:, None]
        hessian = (np.eye(points.shape[1]) / distances[:, None, None]).sum(0) - (units / distances[:, None]).T @ units
        y = y - np.linalg.solve(hessian, units.sum(0))
    return y


def slope(points, y):
    """Norm of the sum of unit vectors from the other points; the minimum has 0, or at a data point at most its count."""
    offsets = y - points
    distances = np.linalg.norm(offsets, axis=1)
    others = distances > 0
    return np.linalg.norm((offsets[others] / distances[others, None]).sum(0)), int((~others).sum())


def describe(name, why, points, median):
    points, median = np.asarray(points, dtype=np.float64), np.asarray(median, dtype=np.float64)
    pull, coinciding = slope(points, median)
    assert pull <= max(1e-11, coinciding)
    total = float(np.linalg.norm(points - median, axis=1).sum())
    print(f"  {name}: pull {pull:.1e}, points there {coinciding}")
    return dict(name=name, why=why, points=points.tolist(), median=median.tolist(), mean=points.mean(0).tolist(), totalDistance=total)


def main():
    random = np.random.RandomState(7)
    cloud = random.standard_normal((200, 5)) * [1, 2, 0.5, 1, 3] + [1, -2, 0, 0.5, 4]
    outliers = random.choice(200, 20, replace=False)
    cloud[outliers] += 60 + 40 * random.random_sample((20, 5))
    cloud = cloud.astype(np.float32).astype(np.float64)
    cases = [
        describe("outliers", "200 points, 20 of them far away: the mean is dragged off, the median is not", cloud, geometric_median(cloud)),
        describe("meanIsADataPoint", "starting at the mean meets a data point that is not the median (1 - 1/sqrt(3), by hand)",
                 [[0, 0], [1, 0], [1, 1], [1, -1], [-3, 0]], [1 - 1 / math.sqrt(3), 0]),
        describe("medianIsADataPoint", "the minimum itself is a data point", [[0, 0], [1, 0], [-2, 0], [0, 3], [0, -4]], [0, 0]),
        describe("allEqual", "every point is the same", [[1.5, -2.0]] * 4, [1.5, -2.0]),
    ]
    save_json("geometricMedian.json", __file__, {"cases": cases})


if __name__ == "__main__":
    main()
