// Sums that do not depend on how their terms were grouped: shards of any size add up to the same bits. Each term is first
// rounded to a multiple of a power of two, so fine that it does not matter and so coarse that float64 adds such multiples
// without rounding, until a sum is 2^53 of them (beyond that it is merely as good as float64).

/** Multiples of this are added exactly up to 2^29 times `scale`, and a term is off by at most 2^-25 of it. */
export function gridFor(scale: number): number {
  return 2 ** (Math.floor(Math.log2(scale)) - 24);
}

/** The nearest multiple of the grid. */
export function onGrid(value: number, grid: number): number {
  return Math.round(value / grid) * grid;
}

/** Adds terms to a sum of the same length, each on the grid. */
export function addOnGrid(sum: Float64Array, terms: ArrayLike<number>, grid: number): void {
  for (let index = 0; index < sum.length; index++) sum[index]! += Math.round(terms[index]! / grid) * grid;
}
