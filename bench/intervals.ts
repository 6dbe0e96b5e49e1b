// Stretches of time: where in a span none of them goes on, and how much of it they cover together.

/** [from, to), milliseconds of one clock. */
export interface Interval {
  fromMs: number;
  toMs: number;
}

/** The parts of `span` in which none of the intervals goes on, in order. */
export function gapsIn(intervals: readonly Interval[], { fromMs, toMs }: Interval): Interval[] {
  const gaps: Interval[] = [];
  let seenToMs = fromMs;
  for (const interval of [...intervals].sort((a, b) => a.fromMs - b.fromMs)) {
    if (interval.toMs <= interval.fromMs) continue;
    if (interval.fromMs > seenToMs) gaps.push({ fromMs: seenToMs, toMs: Math.min(interval.fromMs, toMs) });
    seenToMs = Math.max(seenToMs, interval.toMs);
    if (seenToMs >= toMs) return gaps.filter(isLong);
  }
  return [...gaps, { fromMs: seenToMs, toMs }].filter(isLong);
}

/** Time within `span` in which at least one of the intervals goes on. */
export function coveredMs(intervals: readonly Interval[], span: Interval): number {
  return gapsIn(intervals, span).reduce((left, gap) => left - (gap.toMs - gap.fromMs), span.toMs - span.fromMs);
}

function isLong({ fromMs, toMs }: Interval): boolean {
  return toMs > fromMs;
}
