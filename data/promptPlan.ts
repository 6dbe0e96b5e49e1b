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

  /**
   * How many training positions are read once, more often, and never, by the whole plan or by these shards of it. Takes
   * minutes for millions of prompts at random offsets; other work of the process goes on meanwhile.
   */
  async coverage(shards?: ReadonlySet<number>): Promise<Coverage> {
    const prompts = this.promptsOf(shards);
    if (this.config.plan === 'windows') {
      const read = prompts.length * this.config.positionsPerPrompt;
      return { once: read, moreThanOnce: 0, never: this.tokens - read };
    }
    const rangeTokens = Math.min(coverageRange, this.tokens);
    const ranges = await this.byRange(prompts, rangeTokens);
    // A prompt may run over the end of its range: what it reads there is carried over to the next.
    const counts = new Uint8Array(rangeTokens + this.contextLength);
    let once = 0;
    let moreThanOnce = 0;
    for (const [range, promptsHere] of ranges.entries()) {
      for (const [index, prompt] of promptsHere.entries()) {
        const offset = this.offset(prompt) - range * rangeTokens;
        for (const position of this.positions(prompt)) if (counts[offset + position]! < 2) counts[offset + position]!++;
        if (index % promptsAtOnce === promptsAtOnce - 1) await letOthersRun();
      }
      for (let at = 0; at < rangeTokens; at++) {
        if (counts[at] === 1) once++;
        else if (counts[at] === 2) moreThanOnce++;
      }
      counts.copyWithin(0, rangeTokens);
      counts.fill(0, this.contextLength);
      await letOthersRun();
    }
    return { once, moreThanOnce, never: this.tokens - once - moreThanOnce };
  }

  private promptsOf(shards: ReadonlySet<number> | undefined): Uint32Array {
    const all = Uint32Array.from({ length: this.prompts }, (_, prompt) => prompt);
    return shards === undefined ? all : all.filter((prompt) => shards.has(Math.floor(prompt / this.config.promptsPerShard)));
  }

  /** Prompts by the range of tokens in which they start. */
  private async byRange(prompts: Uint32Array, rangeTokens: number): Promise<Uint32Array[]> {
    const ranges = new Array<number>(Math.ceil(this.tokens / rangeTokens)).fill(0);
    const rangeOf = new Uint32Array(prompts.length);
    for (const [index, prompt] of prompts.entries()) {
      rangeOf[index] = Math.floor(this.offset(prompt) / rangeTokens);
      ranges[rangeOf[index]!]!++;
      if (index % promptsAtOnce === promptsAtOnce - 1) await letOthersRun();
    }
    const sorted = ranges.map((count) => new Uint32Array(count));
    const filled = ranges.map(() => 0);
    prompts.forEach((prompt, index) => (sorted[rangeOf[index]!]![filled[rangeOf[index]!]!++] = prompt));
    return sorted;
  }
}

/** Training positions by how often they are read. */
export interface Coverage {
  once: number;
  moreThanOnce: number;
  never: number;
}

/** Tokens counted at a time: bounds memory at any size of corpus. */
const coverageRange = 2 ** 26;
const promptsAtOnce = 1_024;

/** A worker's heartbeats, for one, are timers of this event loop. */
function letOthersRun(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Uniform over 0 … n − 1 for any n up to 2^53: corpora can have more than 2^32 tokens. */
export function randomOffset(stream: RandomStream, n: number): number {
  return n <= 2 ** 32 ? stream.integer(n) : Math.floor(stream.uniform() * n);
}
