// How fast a stage goes and when it will be done, from what was seen of it so far. Pure: time comes in with each sample,
// so that a test can say what time it is.

/** A stage's speed over the last while; undefined until it can be known. */
export interface Speed {
  perSecond: number;
  /** Seconds until `total` at this speed. */
  etaSeconds: number;
}

interface Sample {
  atMs: number;
  done: number;
}

/** Long enough to smooth a checkpoint or an evaluation over, short enough to notice that a neighbour took the CPU. */
const windowMs = 60_000;
const fewestMs = 1_500;

/**
 * Speed of one stage over a sliding window.
 *
 * @example
 * const pace = new Pace();
 * pace.note(0, 0);
 * pace.note(10_000, 20);
 * pace.speed(100); // { perSecond: 2, etaSeconds: 40 }
 */
export class Pace {
  private samples: Sample[] = [];

  /** What was done at a time. A count that falls (a new phase, a retry) starts afresh. */
  note(atMs: number, done: number): void {
    const last = this.samples.at(-1);
    if (last !== undefined && done < last.done) this.samples = [];
    this.samples.push({ atMs, done });
    const oldest = this.samples.findIndex((sample) => sample.atMs >= atMs - windowMs);
    // One sample from before the window stays, so that slow stages (a shard in ten minutes) have a speed too.
    if (oldest > 1) this.samples.splice(0, oldest - 1);
  }

  /** Undefined before two samples differ. */
  speed(total: number): Speed | undefined {
    const first = this.samples[0];
    const last = this.samples.at(-1);
    if (first === undefined || last === undefined) return undefined;
    const seconds = (last.atMs - first.atMs) / 1_000;
    const done = last.done - first.done;
    if (seconds * 1_000 < fewestMs || done <= 0) return undefined;
    const perSecond = done / seconds;
    return { perSecond, etaSeconds: Math.max(0, total - last.done) / perSecond };
  }
}
