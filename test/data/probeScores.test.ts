// Scores of a probe beside such as are worked by hand, or by their definitions one token and pair of tokens at a time.
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Firings } from '../../data/featurePages.ts';
import { AnswerBook, probesPageOf } from '../../data/probeAnswers.ts';
import { ProbeScores } from '../../data/probeScores.ts';
import { splitOf, type DocumentRow } from '../../data/tokenShard.ts';

/** Document names by half, as the seeded hash has them. */
const named = { chosenOn: [] as string[], judgedOn: [] as string[] };
for (let index = 0; index < 400; index++) named[splitOf(`d${index}`, { heldOutFraction: 0.5, splitSeed: 7_919 }) === 'train' ? 'chosenOn' : 'judgedOn'].push(`d${index}`);

interface Part {
  half: 'chosenOn' | 'judgedOn';
  /** [satisfies the probe, activation] of each token. */
  tokens: [0 | 1, number][];
}

function scoresOf(parts: Part[]): { scores: ProbeScores; firings: Firings } {
  const used = { chosenOn: 0, judgedOn: 0 };
  const documents: DocumentRow[] = [];
  const all = parts.flatMap(({ tokens }) => tokens);
  let start = 0;
  for (const { half, tokens } of parts) {
    documents.push({ id: named[half][used[half]++]!, split: 'heldOut', start, length: tokens.length, lang: 'en', source: 'test', file: 'a', line: 1 });
    start += tokens.length;
  }
  const fired = [...all.keys()].filter((token) => all[token]![1] > 0);
  return {
    scores: new ProbeScores(Uint32Array.from(all, ([positive]) => positive), 1, 1, documents),
    firings: { tokens: Int32Array.from(fired), values: Float32Array.from(fired, (token) => all[token]![1]) },
  };
}
const answerOf = (parts: Part[]) => {
  const { scores, firings } = scoresOf(parts);
  return scores.answersOf(firings)[0];
};

describe('an answer', () => {
  it('has its threshold from one half and its scores from the other, by hand', () => {
    const found = answerOf([
      // cut between 3 and 1: says yes to 5, 4, 3, of which two of three are right
      { half: 'chosenOn', tokens: [[1, 5], [0, 4], [1, 3], [0, 1], [1, 0], [0, 0]] },
      // above 2: 6 and 3, one right of two positives
      { half: 'judgedOn', tokens: [[0, 6], [1, 3], [1, 1], [0, 0], [0, 0]] },
    ])!;
    expect(found.chosenF1).toBeCloseTo(4 / 6, 12);
    expect(found.answer).toMatchObject({ threshold: 2, f1: 0.5, precision: 0.5, recall: 0.5 });
    // pairs (3 | 6) lost, (3 | 0, 0) won, (1 | 6) lost, (1 | 0, 0) won
    expect(found.answer.auroc).toBeCloseTo(4 / 6, 12);
    expect(found.answer.precisionTop20).toBeCloseTo(2 / 3, 12);
  });

  it('counts a tie as half in its AUROC, tokens on which it did not fire included', () => {
    const found = answerOf([
      { half: 'chosenOn', tokens: [[1, 1], [0, 0]] },
      { half: 'judgedOn', tokens: [[1, 2], [0, 2], [1, 0], [0, 0], [0, 1]] },
    ])!;
    // positive 2: tied with 2, above 0 and 1 → 2.5; positive 0: below 2 and 1, tied with 0 → 0.5; of 6 pairs
    expect(found.answer.auroc).toBeCloseTo(3 / 6, 12);
  });

  it('is perfect for a feature that fires exactly where the probe holds', () => {
    const tokens: Part['tokens'] = Array.from({ length: 60 }, (_, index) => (index % 4 === 0 ? [1, 1 + (index % 7)] : [0, 0]));
    expect(answerOf([{ half: 'chosenOn', tokens }, { half: 'judgedOn', tokens }])).toEqual({ chosenF1: 1, answer: { threshold: 0.5, f1: 1, precision: 1, recall: 1, auroc: 1, precisionTop20: 1 } });
  });

  it('is none where the feature is silent on all that satisfies the probe, or nothing does', () => {
    expect(answerOf([{ half: 'chosenOn', tokens: [[1, 0], [0, 2]] }, { half: 'judgedOn', tokens: [[1, 3]] }])).toBeUndefined();
    expect(answerOf([{ half: 'chosenOn', tokens: [[0, 1]] }, { half: 'judgedOn', tokens: [[1, 1]] }])).toBeUndefined();
  });

  it('is the best of all thresholds, and scored as by definition, whatever the activations', () => {
    const token = fc.tuple(fc.constantFrom<0 | 1>(0, 1), fc.constantFrom(0, 0, 0.5, 1, 1.5, 2, 7));
    fc.assert(
      fc.property(fc.array(token, { minLength: 1, maxLength: 30 }), fc.array(token, { minLength: 1, maxLength: 30 }), (chosenOn, judgedOn) => {
        const found = answerOf([{ half: 'chosenOn', tokens: chosenOn }, { half: 'judgedOn', tokens: judgedOn }]);
        const f1At = (tokens: Part['tokens'], threshold: number) => {
          const said = tokens.filter(([, value]) => value > threshold);
          const positive = tokens.filter(([satisfies]) => satisfies === 1).length;
          return said.length + positive === 0 ? 0 : (2 * said.filter(([satisfies]) => satisfies === 1).length) / (said.length + positive);
        };
        const best = Math.max(...[0, 0.5, 1, 1.5, 2].map((threshold) => f1At(chosenOn, threshold)));
        if (best === 0) {
          expect(found).toBeUndefined();
          return;
        }
        expect(found!.chosenF1).toBeCloseTo(best, 12);
        expect(f1At(chosenOn, found!.answer.threshold)).toBeCloseTo(best, 12);
        expect(found!.answer.f1).toBeCloseTo(f1At(judgedOn, found!.answer.threshold), 12);
        const pairs = judgedOn.filter(([satisfies]) => satisfies === 1).flatMap(([, a]) => judgedOn.filter(([satisfies]) => satisfies === 0).map(([, b]) => (a > b ? 1 : a === b ? 0.5 : 0)));
        const auroc = pairs.length === 0 ? 0.5 : pairs.reduce<number>((sum, one) => sum + one, 0) / pairs.length;
        expect(found!.answer.auroc).toBeCloseTo(auroc, 12);
      }),
    );
  });
});

describe('support', () => {
  const many = (documents: number, positives: number): Part[] =>
    (['chosenOn', 'judgedOn'] as const).flatMap((half) => Array.from({ length: documents }, (): Part => ({ half, tokens: Array.from({ length: 40 }, (_, index) => (index < positives ? [1, 1] : [0, 0])) })));

  it('is counted in each half, and too small with few tokens or few documents', () => {
    expect(scoresOf(many(10, 5)).scores).toMatchObject({ support: [{ chosenOn: 50, judgedOn: 50 }], enough: [true] });
    expect(scoresOf(many(10, 4)).scores).toMatchObject({ support: [{ chosenOn: 40, judgedOn: 40 }], enough: [false] });
    expect(scoresOf(many(4, 30)).scores).toMatchObject({ support: [{ chosenOn: 120, judgedOn: 120 }], enough: [false] });
  });

  it('decides whether a probe labels a feature; it is answered either way', () => {
    const answers = (parts: Part[]) => {
      const { scores, firings } = scoresOf(parts);
      const book = new AnswerBook(scores);
      return { label: book.add(7, scores.answersOf(firings)), page: probesPageOf([{ name: 'x', description: '', where: [] }], [book.best()]) };
    };
    const [enough, few] = [answers(many(10, 5)), answers(many(4, 30))];
    expect(enough.label).toEqual({ probe: 0, f1: 1 });
    expect(few.label).toEqual({ probe: -1, f1: 0 });
    for (const [{ page }, is] of [[enough, true], [few, false]] as const) expect(page[0]).toMatchObject({ enough: is, answers: [{ feature: 7, f1: 1 }] });
  });
});

it('answers are chosen and ranked by the one half over all blocks; the other half only judges them', () => {
  const score = (feature: number, chosenF1: number, f1: number) => ({ feature, chosenF1, threshold: 1, f1, precision: 1, recall: 1, auroc: 1, precisionTop20: 1 });
  const block = (answers: ReturnType<typeof score>[]) => [{ support: { chosenOn: 60, judgedOn: 70 }, enough: true, answers }];
  const [page] = probesPageOf([{ name: 'x', description: 'why', where: [] }], [block([0, 1, 2, 3].map((feature) => score(feature, 0.9 - feature / 10, 0.1 + feature / 10))), block([4, 5].map((feature) => score(feature, 0.95 - feature / 10, 0.99)))]);
  // 5 has the lowest score where answers are chosen, so it is not listed, and 4 stays last however well it is judged
  expect(page!.answers.map(({ feature }) => feature)).toEqual([0, 1, 2, 3, 4]);
  expect(page).toMatchObject({ name: 'x', description: 'why', support: { chosenOn: 60, judgedOn: 70 }, enough: true });
});
