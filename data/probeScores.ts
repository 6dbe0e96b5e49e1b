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
  private readonly bits: Uint32Array;
  private readonly words: number;
  private readonly probes: number;
  /** 1 for tokens of documents on which answers are judged. */
  private readonly judged: Uint8Array;
  private readonly tokensIn: Record<Half, number>;

  /**
   * @param bits of ProbeMarks, [tokens · words]
   * @param documents ascending, covering all tokens
   */
  constructor(bits: Uint32Array, words: number, probes: number, documents: readonly DocumentRow[]) {
    this.bits = bits;
    this.words = words;
    this.probes = probes;
    const tokens = words === 0 ? 0 : bits.length / words;
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
        this.forProbesOf(token, (probe) => {
          this.support[probe]![half]++;
          seen.add(probe);
        });
      }
      for (const probe of seen) documentsIn[probe]![half]++;
    }
    this.enough = this.support.map((support, probe) => halves.every((half) => support[half] >= enoughTokens && documentsIn[probe]![half] >= enoughDocuments));
  }

  /** A feature as an answer to every probe; undefined where no threshold finds a token that satisfies it. */
  answersOf(firings: Firings): (ScoredAnswer | undefined)[] {
    const sides: Record<Half, number[]> = { chosenOn: [], judgedOn: [] };
    firings.tokens.forEach((token, index) => sides[this.judged[token] === 1 ? 'judgedOn' : 'chosenOn'].push(index));
    const chosen = this.choose(sorted(firings, sides.chosenOn));
    return this.judge(sorted(firings, sides.judgedOn), chosen);
  }

  /** The best F1 of each probe over all thresholds. */
  private choose(ranked: Ranked): { f1: number; threshold: number }[] {
    const best = Array.from({ length: this.probes }, () => ({ f1: 0, threshold: 0 }));
    const hits = new Float64Array(this.probes);
    forGroups(ranked, (start, end) => {
      const next = end < ranked.values.length ? ranked.values[end]! : 0;
      for (let rank = start; rank < end; rank++) this.forProbesOf(ranked.tokens[rank]!, (probe) => hits[probe]!++);
      // F1 is highest behind a token that satisfies the probe
      for (let rank = start; rank < end; rank++) {
        this.forProbesOf(ranked.tokens[rank]!, (probe) => {
          const f1 = f1Of(hits[probe]!, end, this.support[probe]!.chosenOn);
          if (f1 > best[probe]!.f1) best[probe] = { f1, threshold: (ranked.values[start]! + next) / 2 };
        });
      }
    });
    return best;
  }

  private judge(ranked: Ranked, chosen: { f1: number; threshold: number }[]): (ScoredAnswer | undefined)[] {
    const { tokens, values } = ranked;
    const [hits, found, inTop, pairs] = Array.from({ length: 4 }, () => new Float64Array(this.probes)) as [Float64Array, Float64Array, Float64Array, Float64Array];
    const inGroup = new Float64Array(this.probes);
    const all = this.tokensIn.judgedOn;
    forGroups(ranked, (start, end) => {
      const present = new Set<number>();
      for (let rank = start; rank < end; rank++) {
        this.forProbesOf(tokens[rank]!, (probe) => {
          present.add(probe);
          inGroup[probe]!++;
          if (rank < topTokens) inTop[probe]!++;
          if (values[rank]! > chosen[probe]!.threshold) found[probe]!++;
        });
      }
      for (const probe of present) {
        // tokens that don't satisfy the probe: as high as these, and lower
        const tied = end - start - inGroup[probe]!;
        const lower = all - this.support[probe]!.judgedOn - (start - hits[probe]!) - tied;
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

  private forProbesOf(token: number, visit: (probe: number) => void): void {
    for (let word = 0; word < this.words; word++) {
      let bits = this.bits[token * this.words + word]!;
      while (bits !== 0) {
        const bit = 31 - Math.clz32(bits);
        visit(word * bitsPerWord + bit);
        bits = (bits & ~(1 << bit)) >>> 0;
      }
    }
  }
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
function sorted({ tokens, values }: Firings, indices: number[]): Ranked {
  let order: ArrayLike<number>;
  if (indices.length > rankBits) order = indices.sort((a, b) => values[b]! - values[a]! || a - b);
  else {
    const bits = new Uint32Array(Float32Array.from(indices, (index) => values[index]!).buffer);
    const keys = Float64Array.from(bits, (valueBits, place) => valueBits * rankBits + (rankBits - 1 - place)).sort();
    order = Array.from(keys.reverse(), (key) => indices[rankBits - 1 - (key % rankBits)]!);
  }
  return { tokens: Int32Array.from(order, (index) => tokens[index]!), values: Float32Array.from(order, (index) => values[index]!) };
}

/** Ranks [start, end) of equal values, one group after another. */
function forGroups({ values }: Ranked, visit: (start: number, end: number) => void): void {
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
