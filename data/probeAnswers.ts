// From features' scores to the best answers of each probe, block by block, and to probes.json. Blocks keep as many answers
// as are shown, so the best of all blocks are among them.
import { z } from 'zod';
import { probeAnswer, probesPage, type ProbeAnswer, type ProbesPage } from '../schemas/dashboard.ts';
import type { Probe } from '../schemas/probes.ts';
import { rounded } from './featurePages.ts';
import type { ProbeScores, ScoredAnswer } from './probeScores.ts';

/** Answers of each probe that are shown. */
const answersShown = 5;
/** Below this F1 a feature is not called by a probe: nearly every feature has a little of one. */
const leastLabelF1 = 0.1;

const found = z.strictObject({
  support: z.strictObject({ chosenOn: z.int(), judgedOn: z.int() }),
  enough: z.boolean(),
  answers: z.array(probeAnswer.extend({ chosenF1: z.number() })),
});
/** A block's best answers, probe by probe. */
export const blockAnswers = z.array(found);
export type BlockAnswers = z.infer<typeof blockAnswers>;

/** Collects the answers of a block's features. */
export class AnswerBook {
  private readonly scores: ProbeScores;
  private readonly found: BlockAnswers;

  constructor(scores: ProbeScores) {
    this.scores = scores;
    this.found = scores.support.map((support, probe) => ({ support, enough: scores.enough[probe]!, answers: [] }));
  }

  /** The probe that the feature answers best, of those with enough support; −1 where it answers none well enough for a label. */
  add(feature: number, answers: (ScoredAnswer | undefined)[]): { probe: number; f1: number } {
    const none = { probe: -1, f1: 0 };
    let best = none;
    answers.forEach((scored, probe) => {
      if (scored === undefined) return;
      const { answers: kept } = this.found[probe]!;
      kept.push({ feature, chosenF1: scored.chosenF1, ...scored.answer });
      if (kept.length > answersShown) keepBest(kept);
      if (this.scores.enough[probe] && scored.answer.f1 > best.f1) best = { probe, f1: scored.answer.f1 };
    });
    return best.f1 < leastLabelF1 ? none : best;
  }

  best(): BlockAnswers {
    return this.found;
  }
}

/** All blocks' answers as the page shows them. Their order, too, is the choosing half's: the judging half may not pick the best. */
export function probesPageOf(probes: readonly Probe[], blocks: BlockAnswers[]): ProbesPage {
  return probesPage.parse(
    probes.map(({ name, description }, probe) => {
      const answers = blocks.flatMap((block) => block[probe]!.answers);
      keepBest(answers);
      const { support, enough } = blocks[0]![probe]!;
      return { name, description, support, enough, answers: answers.map(shown) };
    }),
  );
}

function shown({ feature, threshold, f1, precision, recall, auroc, precisionTop20 }: BlockAnswers[number]['answers'][number]): ProbeAnswer {
  return { feature, threshold: rounded(threshold), f1: rounded(f1), precision: rounded(precision), recall: rounded(recall), auroc: rounded(auroc), precisionTop20: rounded(precisionTop20) };
}

function keepBest(answers: BlockAnswers[number]['answers']): void {
  answers.sort((a, b) => b.chosenF1 - a.chosenF1 || a.feature - b.feature);
  answers.splice(answersShown);
}
