// Numbers that only depend on a seed, for the fixture site: equal in every run, without a table of them.

/** A number in [0, 1) that only depends on the seed. */
export function fraction(seed: number): number {
  let state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b);
  state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35);
  return ((state ^ (state >>> 16)) >>> 0) / 2 ** 32;
}

/** A number around 0, within ±1.5, more often near 0. */
export function bell(seed: number): number {
  return fraction(seed * 4 + 1) + fraction(seed * 4 + 2) + fraction(seed * 4 + 3) - 1.5;
}
