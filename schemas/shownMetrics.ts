// Which of a stage's metrics a person sees at a glance, in which order and under which name: the same in Temporal's UI,
// in the live view and in logs. All others are in reports and manifests.

const shown: readonly (readonly [metric: string, label: string])[] = [
  ['loss', 'loss'],
  ['trainLoss', 'loss'],
  ['valLoss', 'val loss'],
  ['l0', 'L0'],
  ['dead', 'dead'],
  ['lossRecovered', 'recovered'],
  ['alive', 'alive'],
  ['trainTokens', 'tokens'],
  ['vectors', 'vectors'],
];
const most = 4;

/**
 * At most four metrics, the most telling first, by the names they are shown under.
 *
 * @example
 * shownMetrics({ seconds: 3, valLoss: 4.2, trainLoss: 4 }); // [['loss', 4], ['val loss', 4.2]]
 */
export function shownMetrics(metrics: Readonly<Record<string, number>>): [label: string, value: number][] {
  const chosen = new Map<string, number>();
  for (const [metric, label] of shown) {
    const value = metrics[metric];
    if (value !== undefined && !chosen.has(label) && chosen.size < most) chosen.set(label, value);
  }
  return [...chosen];
}
