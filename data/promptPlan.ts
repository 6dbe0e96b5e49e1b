// Which tokens are sampled: prompt i of a run is a pure function of the plan, the seed and i, so that any shard can be
// made alone, again, or elsewhere, and comes out the same (SPEC §3).
import type { ActivationsConfig } from '../schemas/config.ts';
import { RandomStream } from '../schemas/random.ts';

/** Where each prompt starts in the training tokens, and which of its positions are kept. */
export class PromptPlan {
  readonly prompts: number;
  private readonly config: ActivationsConfig;
  private readonly seed: number;
  private readonly contextLength: number;
  private readonly tokens: number;
  private order: Uint32Array | undefined;

  /**
   * @param tokens training tokens there are
   * @throws RangeError when there are fewer tokens than one prompt, or fewer windows than prompts are asked for
   */
  constructor(config: ActivationsConfig, seed: number, contextLength: number, tokens: number) {
    const windows = Math.floor(tokens / contextLength);
    this.prompts = config.prompts ?? windows;
    if (windows === 0) throw new RangeError(`${tokens} training tokens are fewer than one prompt of ${contextLength}`);
    if (config.plan === 'windows' && this.prompts > windows) throw new RangeError(`${this.prompts} prompts asked for, but ${tokens} training tokens hold ${windows} windows of ${contextLength}`);
    this.config = config;
    this.seed = seed;
    this.contextLength = contextLength;
    this.tokens = tokens;
  }

  get vectors(): number {
    return this.prompts * this.config.positionsPerPrompt;
  }

  /** First token of a prompt. */
  offset(prompt: number): number {
    if (this.config.plan === 'windows') {
      this.order ??= new RandomStream(this.seed, 'sampleActivations', 'windows').permutation(Math.floor(this.tokens / this.contextLength));
      return this.order[prompt]! * this.contextLength;
    }
    return randomOffset(new RandomStream(this.seed, 'sampleActivations', 'offset', prompt), this.tokens - this.contextLength + 1);
  }

  /** Kept positions of a prompt, ascending, without replacement. */
  positions(prompt: number): Uint32Array {
    const stream = new RandomStream(this.seed, 'sampleActivations', 'positions', prompt);
    return stream.sampleWithoutReplacement(this.contextLength, this.config.positionsPerPrompt);
  }

  /** Order of the rows inside a shard, so that neighbours in a file are not neighbours in a text. */
  rowOrder(shard: number, rows: number): Uint32Array {
    return new RandomStream(this.seed, 'sampleActivations', 'rows', shard).permutation(rows);
  }

  /** How many training positions the whole plan reads once, more often, and never. */
  coverage(): { once: number; moreThanOnce: number; never: number } {
    if (this.config.plan === 'windows') return { once: this.vectors, moreThanOnce: 0, never: this.tokens - this.vectors };
    let once = 0;
    let moreThanOnce = 0;
    // counted range by range, so that memory stays bounded at any number of tokens
    for (let start = 0; start < this.tokens; start += coverageRange) {
      const counts = new Uint8Array(Math.min(coverageRange, this.tokens - start));
      for (let prompt = 0; prompt < this.prompts; prompt++) {
        const offset = this.offset(prompt) - start;
        if (offset >= counts.length || offset + this.contextLength <= 0) continue;
        for (const position of this.positions(prompt)) {
          const at = offset + position;
          if (at >= 0 && at < counts.length && counts[at]! < 2) counts[at]!++;
        }
      }
      for (const count of counts) {
        if (count === 1) once++;
        else if (count === 2) moreThanOnce++;
      }
    }
    return { once, moreThanOnce, never: this.tokens - once - moreThanOnce };
  }
}

const coverageRange = 2 ** 30;

/** Uniform over 0 … n − 1 for any n up to 2^53: corpora can have more than 2^32 tokens. */
export function randomOffset(stream: RandomStream, n: number): number {
  return n <= 2 ** 32 ? stream.integer(n) : Math.floor(stream.uniform() * n);
}
