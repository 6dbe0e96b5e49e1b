// What stands beside a feature's number in every list: the token it fires on most, and what is known of it in words, or
// at least the language of its examples.
import { el, type Child } from './dom.ts';
import type { FeatureTexts } from './featureTexts.ts';
import type { IndexTable } from './packedColumns.ts';
import { tokenChip, type TokenLabels } from './tokenLabels.ts';

export interface HintSources {
  index: IndexTable;
  labels: TokenLabels;
  texts: FeatureTexts;
}

/** Empty for a feature of which nothing is known. */
export function featureHint(feature: number, { index, labels, texts }: HintSources): Child[] {
  const token = index.topToken[feature] ?? -1;
  const words = texts.briefly(index, feature);
  return [token >= 0 && tokenChip(token, labels), words === '' ? index.topLang[feature] : el('span', { class: 'said', title: words }, words)];
}
