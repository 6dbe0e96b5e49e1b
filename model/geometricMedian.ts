// The geometric median of a sample: where the decoder bias starts (SPEC §4, [P]). Weiszfeld's iteration in double
// precision on plain arrays, so that it is the same on every device.

/**
 * Weiszfeld's iteration, with Vardi and Zhang's step (PNAS 2000) where the estimate falls on a point, and a convergence
 * test: it stops when a move is below `tolerance` times the points' mean distance.
 *
 * @param points [n · d], row-major
 * @returns the median [d], the iterations used, and whether the test was met within `maxIterations`
 */
export function geometricMedian(points: Float32Array, d: number, tolerance = 1e-6, maxIterations = 200): { median: Float64Array; iterations: number; converged: boolean } {
  const n = points.length / d;
  let median = new Float64Array(d);
  for (let index = 0; index < points.length; index++) median[index % d]! += points[index]! / n;
  // nearer than this, a point counts as under the estimate: rounding keeps the two from being equal
  const touching = 1e-20 * meanSquareDistance(points, d, median);
  for (let iteration = 1; iteration <= maxIterations; iteration++) {
    const { next, meanDistance } = improve(points, d, median, touching);
    const moved = Math.hypot(...next.map((value, column) => value - median[column]!));
    median = next;
    if (moved <= tolerance * meanDistance) return { median, iterations: iteration, converged: true };
  }
  return { median, iterations: maxIterations, converged: false };
}

function improve(points: Float32Array, d: number, median: Float64Array, touching: number): { next: Float64Array<ArrayBuffer>; meanDistance: number } {
  const n = points.length / d;
  const weighted = new Float64Array(d);
  let weight = 0;
  let distances = 0;
  let under = 0;
  for (let offset = 0; offset < points.length; offset += d) {
    let squares = 0;
    for (let column = 0; column < d; column++) squares += (points[offset + column]! - median[column]!) ** 2;
    if (squares <= touching) {
      under++;
      continue;
    }
    const distance = Math.sqrt(squares);
    weight += 1 / distance;
    distances += distance;
    for (let column = 0; column < d; column++) weighted[column]! += points[offset + column]! / distance;
  }
  if (weight === 0) return { next: Float64Array.from(median), meanDistance: 0 };
  // pull of the other points on the estimate; points under it hold it back
  const pull = Math.hypot(...weighted.map((sum, column) => sum - weight * median[column]!));
  const hold = pull === 0 ? 1 : Math.min(1, under / pull);
  const next = weighted.map((sum, column) => (1 - hold) * (sum / weight) + hold * median[column]!);
  return { next, meanDistance: distances / n };
}

function meanSquareDistance(points: Float32Array, d: number, from: Float64Array): number {
  return points.reduce((sum, value, index) => sum + (value - from[index % d]!) ** 2, 0) / (points.length / d);
}

/** Scale s with E‖s·x‖² = d (`unit-mean-square`). points [n · d]. */
export function unitMeanSquareScale(points: Float32Array): number {
  let squares = 0;
  for (const value of points) squares += value * value;
  return squares === 0 ? 1 : Math.sqrt(points.length / squares);
}
