// The rules by which the table filters and sorts, without a browser.
import { describe, expect, test } from 'vitest';
import { defaultFilter, filterFromParameters, indexHref, namedFeature, selectFeatures, type FeatureFilter } from '../../dashboard/page/featureQuery.ts';
import { TokenLabels } from '../../dashboard/page/tokenLabels.ts';
import { FeatureTexts } from '../../dashboard/page/featureTexts.ts';
import { Notes } from '../../dashboard/page/notes.ts';
import type { IndexTable } from '../../dashboard/page/packedColumns.ts';

const labels = new TokenLabels({ eot: 4, tokens: [' the', 'Und', ' 12', 'de', '<|endoftext|>'] });
const index: IndexTable = {
  features: 6,
  density: [1e-3, 1e-2, 0, 5e-7, 1e-4, 1e-6],
  maxActivation: [2, 5, 0, 9, 5, 1],
  topToken: [0, 1, -1, 2, 3, 0],
  topLang: ['en', 'de', '', 'de', 'fr', 'en'],
  topLangShare: [0.5, 1, 0, 0.9, 0.4, 0.5],
  topExamples: [3, 20, 0, 20, 20, 20],
  ablation: [0.1, 0.02, 0, 0.4, 0.3, 0.05],
  lossShare: [0.2, -0.1, 0, 0, 0.5, 0.3],
  probe: [1, 0, -1, -1, -1, 1],
  probeF1: [0.4, 0.9, 0, 0, 0, 0.6],
};
const probe = (name: string) => ({ name, description: '', support: { chosenOn: 100, judgedOn: 100 }, enough: true, answers: [] });
const notes = new Notes('a run', 6);
notes.set(4, { starred: true, comment: 'About Rivers' });
const automatic = { model: 'm', labels: [{ feature: 5, text: 'an article', spearman: null, detection: null }] };
const texts = new FeatureTexts([probe('German'), probe('English "the"')], automatic, notes);
const select = (change: Partial<FeatureFilter>) => selectFeatures(index, { ...defaultFilter, ...change }, labels, texts);

describe('selectFeatures', () => {
  test('leaves dead and ultra-low-density features out, counts them, and shows each when asked', () => {
    expect(select({})).toEqual({ order: [0, 1, 4, 5], hiddenDead: 1, hiddenUltraLow: 1 });
    expect(select({ showDead: true }).order).toEqual([0, 1, 2, 4, 5]);
    expect(select({ showUltraLow: true }).order).toEqual([0, 1, 3, 4, 5]);
  });

  test('sorts by each column, ties by feature number', () => {
    expect(select({ sort: 'density', descending: true }).order).toEqual([1, 0, 4, 5]);
    expect(select({ sort: 'max', descending: true }).order).toEqual([1, 4, 0, 5]);
    expect(select({ sort: 'lang', descending: true }).order).toEqual([4, 0, 5, 1]);
    expect(select({ sort: 'lang' }).order).toEqual([1, 0, 5, 4]);
    expect(select({ sort: 'token' }).order).toEqual([4, 0, 5, 1]);
    expect(select({ descending: true }).order).toEqual([5, 4, 1, 0]);
    expect(select({ sort: 'effect', descending: true }).order).toEqual([4, 0, 5, 1]);
    expect(select({ sort: 'loss', descending: true }).order).toEqual([4, 5, 0, 1]);
    expect(select({ sort: 'probe', descending: true }).order).toEqual([1, 5, 0, 4]);
  });

  test('of two equal purities the one over more examples counts as the higher', () => {
    expect(select({ sort: 'purity', descending: true }).order).toEqual([1, 5, 0, 4]);
  });

  test('a word finds tokens that contain it and languages that equal it; a prefix says which', () => {
    expect(select({ query: 'DE' }).order).toEqual([1, 4]);
    expect(select({ query: 'lang:de' }).order).toEqual([1]);
    expect(select({ query: 'token:d' }).order).toEqual([1, 4]);
    expect(select({ query: 'token:" the"' }).order).toEqual([0, 5]);
    expect(select({ query: 'lang:en the' }).order).toEqual([0, 5]);
    expect(select({ query: 'lang:' }).order).toEqual([0, 1, 4, 5]);
  });

  test('a word finds probes, automatic labels and notes, a prefix says which of them', () => {
    expect(select({ query: 'german' }).order).toEqual([1]);
    expect(select({ query: 'probe:english' }).order).toEqual([0, 5]);
    expect(select({ query: 'label:article' }).order).toEqual([5]);
    expect(select({ query: 'rivers' }).order).toEqual([4]);
    expect(select({ query: 'note:"about rivers"' }).order).toEqual([4]);
    expect(select({ query: 'is:starred' }).order).toEqual([4]);
    expect(select({ query: 'label:rivers' }).order).toEqual([]);
  });

  test('digits find a feature or a token, #digits a feature only', () => {
    expect(select({ query: '1', showUltraLow: true }).order).toEqual([1, 3]);
    expect(select({ query: '#1', showUltraLow: true }).order).toEqual([1]);
    expect(namedFeature(' #5 ', index)).toBe(5);
    expect(namedFeature('6', index)).toBeUndefined();
    expect(namedFeature('the', index)).toBeUndefined();
  });

  test('a density range keeps its bounds and leaves dead features out', () => {
    expect(select({ densityLow: -4, densityHigh: -3, showDead: true }).order).toEqual([0, 4]);
  });
});

test('a filter survives the way through the address', () => {
  const filter: FeatureFilter = { query: 'lang:de "a b"', sort: 'purity', descending: true, showDead: true, showUltraLow: true, densityLow: -4.25, densityHigh: -1 };
  expect(filterFromParameters(new URLSearchParams(indexHref(filter).split('?')[1]))).toEqual(filter);
  expect(indexHref(defaultFilter)).toBe('#/');
  expect(filterFromParameters(new URLSearchParams('sort=nonsense&low=x'))).toEqual({ ...defaultFilter, densityLow: undefined, densityHigh: undefined });
});
