// The geometric median of a sample: where the decoder bias starts (SPEC §4, [P]). Weiszfeld's iteration in double
// precision on plain arrays, so that it is the same on every device.

/**
 * Weiszfeld's algorithm with a convergence test: stops when a move is below `tolerance` times the points' mean distance.
 *
 * @param points [n · d], row-major
 * @returns the median [d], the iterations used, and whether the test was met within `maxIterations`
 */
export function geometricMedian(points: Float32Array, d: number, tolerance = 1e-6, maxIterations = 200): { median: Float64Array; iterations: number; converged: boolean } {
  const n = points.length / d;
  let median = new Float64Array(d);
  for (let row = 0; row < n; row++) for (let column = 0; column < d; column++) median[column]! += points[row * d + column]! / n;
  for (let iteration = 1; iteration <= maxIterations; iteration++) {
    const next = new Float64Array(d);
    let totalWeight = 0;
    let totalDistance = 0;
    for (let row = 0; row < n; row++) {
      const offset = row * d;
      let squares = 0;
      for (let column = 0; column < d; column++) squares += (points[offset + column]! - median[column]!) ** 2;
      const distance = Math.sqrt(squares);
      // a point under the estimate would get infinite weight: it is given a very large one
      const weight = 1 / Math.max(distance, 1e-12);
      totalWeight += weight;
      totalDistance += distance;
      for (let column = 0; column < d; column++) next[column]! += weight * points[offset + column]!;
    }
    let moved = 0;
    for (let column = 0; column < d; column++) {
      next[column]! /= totalWeight;
      moved += (next[column]! - median[column]!) ** 2;
    }
    median = next;
    if (Math.sqrt(moved) <= (tolerance * totalDistance) / n) return { median, iterations: iteration, converged: true };
  }
  return { median, iterations: maxIterations, converged: false };
}

/** Scale s with E‖s·x‖² = d (`unit-mean-square`). points [n · d]. */
export function unitMeanSquareScale(points: Float32Array): number {
  let squares = 0;
  for (const value of points) squares += value * value;
  return squares === 0 ? 1 : Math.sqrt(points.length / squares);
}
