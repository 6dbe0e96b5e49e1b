// How well a feature answers a probe (SPEC §7). Held-out documents are halved: feature and threshold are chosen on one half
// and judged on the other, so that no score is of tokens it was chosen on.
import { splitOf, type DocumentRow } from './tokenShard.ts';
import { bitsPerWord } from './probeMarks.ts';
import type { Firings } from './featurePages.ts';
import type { ProbeAnswer, ProbesPage } from '../schemas/dashboard.ts';

/** Tokens and documents that must satisfy a probe in each half for its scores to mean anything. */
const enoughTokens = 50;
const enoughDocuments = 5;
const halvesSeed = 7_919;
const topTokens = 20;

type Half = 'chosenOn' | 'judgedOn';
const halves: readonly Half[] = ['chosenOn', 'judgedOn'];

/** What an answer was chosen by, and what it is worth. */
export interface ScoredAnswer {
  /** F1 on the half where features are chosen. */
  chosenF1: number;
  answer: Omit<ProbeAnswer, 'feature'>;
}

/** Which tokens satisfy which probe, in halves. */
export class ProbeScores {
  readonly support: ProbesPage[number]['support'][];
  readonly enough: boolean[];
  private readonly probes: number;
  /** Probes that token t satisfies are satisfied[starts[t], starts[t + 1]). */
  private readonly starts: Int32Array;
  private readonly satisfied: Int32Array;
  /** 1 for tokens of documents on which answers are judged. */
  private readonly judged: Uint8Array;
  private readonly tokensIn: Record<Half, number>;

  /**
   * @param bits of ProbeMarks, [tokens · words]
   * @param documents ascending, covering all tokens
   */
  constructor(bits: Uint32Array, words: number, probes: number, documents: readonly DocumentRow[]) {
    this.probes = probes;
    const tokens = words === 0 ? 0 : bits.length / words;
    ({ starts: this.starts, satisfied: this.satisfied } = satisfiedBy(bits, words, tokens));
    this.judged = new Uint8Array(tokens);
    this.tokensIn = { chosenOn: 0, judgedOn: 0 };
    this.support = Array.from({ length: probes }, () => ({ chosenOn: 0, judgedOn: 0 }));
    const documentsIn = Array.from({ length: probes }, () => ({ chosenOn: 0, judgedOn: 0 }));
    for (const { id, start, length } of documents) {
      const half = halfOf(id);
      const end = Math.min(tokens, start + length);
      const seen = new Set<number>();
      for (let token = start; token < end; token++) {
        this.tokensIn[half]++;
        if (half === 'judgedOn') this.judged[token] = 1;
        for (let entry = this.starts[token]!; entry < this.starts[token + 1]!; entry++) {
          const probe = this.satisfied[entry]!;
          this.support[probe]![half]++;
          seen.add(probe);
        }
      }
      for (const probe of seen) documentsIn[probe]![half]++;
    }
    this.enough = this.support.map((support, probe) => halves.every((half) => support[half] >= enoughTokens && documentsIn[probe]![half] >= enoughDocuments));
  }

  /** A feature as an answer to every probe; undefined where no threshold finds a token that satisfies it. */
  answersOf(firings: Firings): (ScoredAnswer | undefined)[] {
    const sides: Record<Half, number[]> = { chosenOn: [], judgedOn: [] };
    for (let index = 0; index < firings.tokens.length; index++) sides[this.judged[firings.tokens[index]!] === 1 ? 'judgedOn' : 'chosenOn'].push(index);
    const chosen = this.choose(sorted(firings, sides.chosenOn));
    return this.judge(sorted(firings, sides.judgedOn), chosen);
  }

  /** The best F1 of each probe over all thresholds. */
  private choose({ tokens, values }: Ranked): { f1: number; threshold: number }[] {
    const { starts, satisfied } = this;
    const [bestF1, thresholds, hits] = Array.from({ length: 3 }, () => new Float64Array(this.probes)) as [Float64Array, Float64Array, Float64Array];
    const support = Float64Array.from(this.support, ({ chosenOn }) => chosenOn);
    forGroups(values, (start, end) => {
      const next = end < values.length ? values[end]! : 0;
      for (let rank = start; rank < end; rank++) {
        for (let entry = starts[tokens[rank]!]!, last = starts[tokens[rank]! + 1]!; entry < last; entry++) hits[satisfied[entry]!]!++;
      }
      // F1 is highest behind a token that satisfies the probe
      for (let rank = start; rank < end; rank++) {
        for (let entry = starts[tokens[rank]!]!, last = starts[tokens[rank]! + 1]!; entry < last; entry++) {
          const probe = satisfied[entry]!;
          const f1 = f1Of(hits[probe]!, end, support[probe]!);
          if (f1 <= bestF1[probe]!) continue;
          bestF1[probe] = f1;
          thresholds[probe] = (values[start]! + next) / 2;
        }
      }
    });
    return Array.from(bestF1, (f1, probe) => ({ f1, threshold: thresholds[probe]! }));
  }

  private judge({ tokens, values }: Ranked, chosen: { f1: number; threshold: number }[]): (ScoredAnswer | undefined)[] {
    const { starts, satisfied } = this;
    const [hits, found, inTop, pairs, inGroup] = Array.from({ length: 5 }, () => new Float64Array(this.probes)) as [Float64Array, Float64Array, Float64Array, Float64Array, Float64Array];
    const thresholds = Float64Array.from(chosen, ({ threshold }) => threshold);
    const negatives = Float64Array.from(this.support, ({ judgedOn }) => this.tokensIn.judgedOn - judgedOn);
    const all = this.tokensIn.judgedOn;
    const present = new Int32Array(this.probes);
    forGroups(values, (start, end) => {
      let presentCount = 0;
      for (let rank = start; rank < end; rank++) {
        for (let entry = starts[tokens[rank]!]!, last = starts[tokens[rank]! + 1]!; entry < last; entry++) {
          const probe = satisfied[entry]!;
          if (inGroup[probe]!++ === 0) present[presentCount++] = probe;
          if (rank < topTokens) inTop[probe]!++;
          if (values[rank]! > thresholds[probe]!) found[probe]!++;
        }
      }
      for (let each = 0; each < presentCount; each++) {
        const probe = present[each]!;
        // tokens that don't satisfy the probe: as high as these, and lower
        const tied = end - start - inGroup[probe]!;
        const lower = negatives[probe]! - (start - hits[probe]!) - tied;
        pairs[probe]! += inGroup[probe]! * (lower + tied / 2);
        hits[probe]! += inGroup[probe]!;
        inGroup[probe] = 0;
      }
    });
    const top = Math.min(topTokens, values.length);
    return chosen.map(({ f1: chosenF1, threshold }, probe) => {
      if (chosenF1 === 0) return undefined;
      const positive = this.support[probe]!.judgedOn;
      const negative = all - positive;
      const said = firstAtOrBelow(values, threshold);
      // where the feature did not fire, all are tied at 0
      const silent = (positive - hits[probe]!) * (negative - (values.length - hits[probe]!)) / 2;
      return {
        chosenF1,
        answer: {
          threshold,
          f1: f1Of(found[probe]!, said, positive),
          precision: said === 0 ? 0 : found[probe]! / said,
          recall: positive === 0 ? 0 : found[probe]! / positive,
          auroc: positive === 0 || negative === 0 ? 0.5 : (pairs[probe]! + silent) / (positive * negative),
          precisionTop20: top === 0 ? 0 : inTop[probe]! / top,
        },
      };
    });
  }
}

/** Bits of ProbeMarks as lists of probes. */
function satisfiedBy(bits: Uint32Array, words: number, tokens: number): { starts: Int32Array; satisfied: Int32Array } {
  const starts = new Int32Array(tokens + 1);
  const visit = (token: number, see: (probe: number) => void) => {
    for (let word = 0; word < words; word++) {
      let left = bits[token * words + word]!;
      while (left !== 0) {
        const bit = 31 - Math.clz32(left);
        see(word * bitsPerWord + bit);
        left = (left & ~(1 << bit)) >>> 0;
      }
    }
  };
  let count = 0;
  for (let token = 0; token < tokens; token++) {
    visit(token, () => count++);
    starts[token + 1] = count;
  }
  const satisfied = new Int32Array(count);
  let filled = 0;
  for (let token = 0; token < tokens; token++) visit(token, (probe) => (satisfied[filled++] = probe));
  return { starts, satisfied };
}

/** Which half a document is in: a hash of its id. */
function halfOf(id: string): Half {
  return splitOf(id, { heldOutFraction: 0.5, splitSeed: halvesSeed }) === 'train' ? 'chosenOn' : 'judgedOn';
}

function f1Of(hits: number, said: number, positive: number): number {
  return said + positive === 0 ? 0 : (2 * hits) / (said + positive);
}

/** Firings, strongest first. */
interface Ranked {
  tokens: Int32Array;
  values: Float32Array;
}

const rankBits = 2 ** 22;

/** By value downwards, equal ones by token: as one number each, a float32's bits above its place, where the places fit. */
function sorted(firings: Firings, indices: number[]): Ranked {
  const { values } = firings;
  const count = indices.length;
  if (count > rankBits) return ranked(firings, indices.sort((a, b) => values[b]! - values[a]! || a - b));
  const keys = new Float64Array(count);
  const one = new Float32Array(1);
  const bitsOfOne = new Uint32Array(one.buffer);
  for (let place = 0; place < count; place++) {
    one[0] = values[indices[place]!]!;
    keys[place] = bitsOfOne[0]! * rankBits + (rankBits - 1 - place);
  }
  keys.sort();
  const order = new Array<number>(count);
  for (let rank = 0; rank < count; rank++) order[rank] = indices[rankBits - 1 - (keys[count - 1 - rank]! % rankBits)]!;
  return ranked(firings, order);
}

function ranked(firings: Firings, order: number[]): Ranked {
  const [tokens, values] = [new Int32Array(order.length), new Float32Array(order.length)];
  for (let rank = 0; rank < order.length; rank++) {
    tokens[rank] = firings.tokens[order[rank]!]!;
    values[rank] = firings.values[order[rank]!]!;
  }
  return { tokens, values };
}

/** Ranks [start, end) of equal values, one group after another. */
function forGroups(values: Float32Array, visit: (start: number, end: number) => void): void {
  for (let start = 0, end = 0; start < values.length; start = end) {
    end = start + 1;
    while (end < values.length && values[end] === values[start]) end++;
    visit(start, end);
  }
}

/** How many of the values, sorted downwards, are above the threshold. */
function firstAtOrBelow(values: Float32Array, threshold: number): number {
  let [low, high] = [0, values.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle]! > threshold) low = middle + 1;
    else high = middle;
  }
  return low;
}
