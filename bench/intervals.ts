// Stretches of time, and how much of a span they cover together.

/** [from, to), milliseconds of one clock. */
export interface Interval {
  fromMs: number;
  toMs: number;
}

/** Time within `span` in which at least one of the intervals goes on. */
export function coveredMs(intervals: readonly Interval[], { fromMs, toMs }: Interval): number {
  let covered = 0;
  let seenToMs = fromMs;
  for (const interval of [...intervals].sort((a, b) => a.fromMs - b.fromMs)) {
    const from = Math.max(interval.fromMs, seenToMs);
    const to = Math.min(interval.toMs, toMs);
    if (to <= from) continue;
    covered += to - from;
    seenToMs = to;
  }
  return covered;
}
