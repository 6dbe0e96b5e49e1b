// Curves of several seeds on two sides: whether they agree within what seeds differ by, and a table of both.
import { alignTable } from '../schemas/format.ts';

export const curveMetrics = ['mse', 'l0', 'alive'] as const;
export type CurveMetric = (typeof curveMetrics)[number];
export type CurvePoint = Record<CurveMetric | 'step', number>;
/** One curve a seed, all with the same steps. */
export type Curves = CurvePoint[][];

/**
 * Steps at which the means over seeds differ by more than the spread (largest minus smallest over the seeds) of the side
 * that has the larger one.
 */
export function outsideSpread(ours: Curves, peers: Curves, metric: CurveMetric): number[] {
  return ours[0]!.flatMap(({ step }, index) => {
    const [a, b] = [at(ours, index, metric), at(peers, index, metric)];
    return Math.abs(mean(a) - mean(b)) <= Math.max(spread(a), spread(b)) ? [] : [step];
  });
}

/** The largest relative difference between both sides' curves of one seed, up to `lastStep`. */
export function largestDifference(ours: Curves, peers: Curves, metric: CurveMetric, lastStep: number): number {
  const differences = ours.flatMap((curve, seed) => curve.filter(({ step }) => step <= lastStep).map((point, index) => Math.abs(point[metric] / peers[seed]![index]![metric] - 1)));
  return Math.max(...differences);
}

/** The mean over seeds at the last step. */
export function finalMean(curves: Curves, metric: CurveMetric): number {
  return mean(curves.map((curve) => curve.at(-1)![metric]));
}

/** A line a step: means over the seeds, smallest to largest in brackets. */
export function curveTable(ours: Curves, peers: Curves): string[] {
  const cell = (curves: Curves, index: number, metric: CurveMetric) => {
    const values = at(curves, index, metric);
    const show = (value: number) => value.toPrecision(metric === 'alive' ? 3 : 4);
    return `${show(mean(values))} (${show(Math.min(...values))}–${show(Math.max(...values))})`;
  };
  const head = ['step', ...curveMetrics.flatMap((metric) => [`${metric}, ours`, 'reference'])];
  const rows = ours[0]!.map(({ step }, index) => [String(step), ...curveMetrics.flatMap((metric) => [cell(ours, index, metric), cell(peers, index, metric)])]);
  return alignTable([head, ...rows]);
}

export function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

export function spread(values: readonly number[]): number {
  return Math.max(...values) - Math.min(...values);
}

function at(curves: Curves, index: number, metric: CurveMetric): number[] {
  return curves.map((curve) => curve[index]![metric]);
}
