// The columns of the index that a block of features fills, feature by feature.
import { z } from 'zod';
import { featureIndex, type FeaturePage } from '../schemas/dashboard.ts';
import { rounded } from './featurePages.ts';

/** A block's part of the index. A share of the loss is known only when all blocks are: until then, the loss itself, nats. */
export const indexColumns = featureIndex.omit({ features: true, lossShare: true }).extend({ lossAdded: z.array(z.number()) });
export type IndexColumns = z.infer<typeof indexColumns>;

export function emptyColumns(): IndexColumns {
  return { density: [], maxActivation: [], topToken: [], topLang: [], topLangShare: [], topExamples: [], ablation: [], lossAdded: [], probe: [], probeF1: [] };
}

export function addToIndex(index: IndexColumns, { density, count, maxActivation, top, ablation }: FeaturePage, best: { probe: number; f1: number }): void {
  const byToken = new Map<number, number>();
  const byLang = new Map<string, number>();
  for (const { tokens, centre, value, document } of top) {
    byToken.set(tokens[centre]!, (byToken.get(tokens[centre]!) ?? 0) + value);
    byLang.set(document.lang, (byLang.get(document.lang) ?? 0) + 1);
  }
  const [lang, examples] = largest(byLang) ?? ['', 0];
  index.density.push(density);
  index.maxActivation.push(maxActivation);
  index.topToken.push(largest(byToken)?.[0] ?? -1);
  index.topLang.push(lang);
  index.topExamples.push(top.length);
  index.topLangShare.push(top.length === 0 ? 0 : rounded(examples / top.length));
  index.ablation.push(ablation.meanMagnitude);
  index.lossAdded.push(ablation.mean * count);
  index.probe.push(best.probe);
  index.probeF1.push(rounded(best.f1));
}

function largest<Name>(counts: Map<Name, number>): [Name, number] | undefined {
  return [...counts.entries()].sort(([, a], [, b]) => b - a)[0];
}
