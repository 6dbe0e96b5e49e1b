import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ablatedFirings, chooseFirings } from '../../data/exampleChoice.ts';
import { featurePageOf, histogramOf, rounded, type Firings, type ReadText } from '../../data/featurePages.ts';
import type { DocumentRow } from '../../data/tokenShard.ts';
import { dashboardConfig, type DashboardConfig } from '../../schemas/config.ts';

const document = (id: string, lang: string, start: number, length: number): DocumentRow => ({ id, split: 'heldOut', start, length, lang, source: 'test', file: 'corpus.jsonl', line: 1 });
/** Four windows of ten tokens: token t has id t, the first document is German and covers tokens 0 to 14. */
const text: ReadText = {
  tokens: Int32Array.from({ length: 40 }, (_, token) => token),
  contextLength: 10,
  documents: [document('a', 'de', 0, 15), document('b', 'en', 15, 25)],
};
const config = dashboardConfig.parse({ topExamples: 3, intervals: 4, examplesPerInterval: 2, contextBefore: 3, contextAfter: 2, histogramBins: 4 });
const firings: Firings = { tokens: Int32Array.from([1, 3, 12, 18, 35]), values: Float32Array.from([1, 4, 2, 3, 0.5]) };

const effects = [0.25, -0.5, 0.125, 1, -0.0625];
const pageOf = (feature: number, fired: Firings, read: ReadText, settings: DashboardConfig, ofFirings: ArrayLike<number> = new Float32Array(fired.values.length)) => featurePageOf(feature, fired, chooseFirings(feature, fired, read, settings), ofFirings, read, settings);

describe('a feature page', () => {
  const page = pageOf(7, firings, text, config, effects);

  it('counts density, maximum, mean and histogram over all tokens read', () => {
    expect(page).toMatchObject({ feature: 7, density: 5 / 40, count: 5, maxActivation: 4, meanActivation: 2.1 });
    expect(page.histogram).toEqual([1, 1, 1, 2]); // 0.5 | 1 | 2 | 3 and 4
  });

  it('takes at most one top example a window, strongest first', () => {
    expect(page.top.map(({ value }) => value)).toEqual([4, 3, 0.5]); // 2 is in the window of 3
  });

  it('shows the context inside the window, with the activations of neighbours and the document offset', () => {
    expect(page.top[0]).toEqual({
      value: 4,
      centre: 3,
      tokens: [0, 1, 2, 3, 4, 5],
      activations: [0, 1, 0, 4, 0, 0],
      effects: [0, 0, 0.25, 0, -0.5, 0], // on the token after the one that fired
      document: { id: 'a', lang: 'de', source: 'test', file: 'corpus.jsonl', line: 1, offset: 3 },
    });
    expect(page.top[1]!.tokens).toEqual([15, 16, 17, 18, 19]); // the window ends at 19
    expect(page.top[1]!.document).toMatchObject({ id: 'b', offset: 3 });
  });

  it('shows the effect of the firing just before the context, and none across the border of a window', () => {
    const near: Firings = { tokens: Int32Array.from([9, 14, 18]), values: Float32Array.from([1, 2, 3]) };
    const settings = { ...config, topExamples: 5 };
    const { top } = pageOf(7, near, text, settings, [0.5, 0.25, 0.125]);
    expect(top[0]).toMatchObject({ tokens: [15, 16, 17, 18, 19], activations: [0, 0, 0, 3, 0], effects: [0.25, 0, 0, 0, 0.125] });
    expect(pageOf(7, { tokens: near.tokens.subarray(0, 1), values: near.values.subarray(0, 1) }, text, settings, [0.5]).top[0]).toMatchObject({ tokens: [6, 7, 8, 9], effects: [0, 0, 0, 0] });
  });

  it('asks for the effects of exactly the firings that act on a token that is shown', () => {
    const settings = { ...config, topExamples: 1, intervals: 1, examplesPerInterval: 0, ablationFirings: 1 };
    const near: Firings = { tokens: Int32Array.from([10, 12, 13, 14, 18, 19]), values: Float32Array.from([1, 1, 1, 1, 3, 1]) };
    const wanted = ablatedFirings({ ...chooseFirings(7, near, text, settings), ablated: [] }, near, text, settings);
    expect(wanted.map((index) => near.tokens[index])).toEqual([14, 18]); // 15 to 19 are shown; 19 acts on the next window
  });

  it('averages ablation effects over its firings', () => {
    expect(page.ablation).toEqual({ mean: rounded(0.8125 / 5), meanMagnitude: rounded(1.9375 / 5), helped: 0.6 });
  });

  it('takes at most one top example a document where asked', () => {
    const once = pageOf(7, firings, text, { ...config, dedupeByDocument: true });
    expect(once.top.map(({ value, document: { id } }) => [value, id])).toEqual([[4, 'a'], [3, 'b']]);
  });

  it('shares its activation mass out over languages', () => {
    expect(page.languages).toEqual([{ lang: 'de', share: rounded(7 / 10.5) }, { lang: 'en', share: rounded(3.5 / 10.5) }]);
  });

  it('lists intervals from the highest value down, each firing in exactly one', () => {
    expect(page.intervals.map(({ low, high, count }) => [low, high, count])).toEqual([[3, 4, 2], [2, 3, 1], [1, 2, 1], [0, 1, 1]]);
    for (const { low, high, examples } of page.intervals) for (const { value } of examples) expect(value >= low && value <= high).toBe(true);
  });

  it('of a feature that never fired is empty', () => {
    const dead = pageOf(0, { tokens: new Int32Array(), values: new Float32Array() }, text, config);
    expect(dead).toMatchObject({ density: 0, count: 0, maxActivation: 0, meanActivation: 0, top: [], intervals: [], languages: [], ablation: { mean: 0, meanMagnitude: 0, helped: 0 } });
  });
});

it('interval examples are spread over their interval and the same at every call', () => {
  const many: ReadText = { ...text, tokens: new Int32Array(4_000), documents: [document('a', 'de', 0, 4_000)] };
  const tokens = Int32Array.from({ length: 2_000 }, (_, index) => 2 * index);
  const values = Float32Array.from(tokens, (token) => 1 + (token % 7));
  const page = pageOf(3, { tokens, values }, many, config);
  expect(pageOf(3, { tokens, values }, many, config)).toEqual(page);
  expect(page.intervals.every(({ examples }) => examples.length === 2)).toBe(true);
});

it('a histogram counts every value once, whatever the values', () => {
  fc.assert(
    fc.property(fc.array(fc.float({ noNaN: true, min: 0, max: 1e6 }), { minLength: 1 }), fc.integer({ min: 1, max: 50 }), (values, bins) => {
      const max = Math.max(...values);
      fc.pre(max > 0);
      expect(histogramOf(values, 0, max, bins).reduce((a, b) => a + b, 0)).toBe(values.length);
    }),
  );
});
