// Ctrl-C, once and twice: the first asks for an orderly end, the second is taken at its word.

/** Signals that ask a command to end; SIGHUP is a closed terminal. */
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
// npm passes on what the terminal has sent already: two signals at once are one Ctrl-C.
const sameWithinMs = 1_000;

export class Interrupt {
  private readonly controller = new AbortController();
  private readonly handler = () => this.raise();
  private raisedAtMs = 0;
  private onSecond: () => void = () => undefined;

  constructor() {
    for (const signal of signals) process.on(signal, this.handler);
  }

  /** Aborted by the first signal. */
  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /** Resolves at the first signal. */
  get raised(): Promise<void> {
    if (this.signal.aborted) return Promise.resolve();
    return new Promise((resolve) => this.signal.addEventListener('abort', () => resolve(), { once: true }));
  }

  /** What to do, synchronously, before the process is ended by a second signal. */
  beforeKill(action: () => void): void {
    this.onSecond = action;
  }

  /** Gives signals back to Node's default. */
  release(): void {
    for (const signal of signals) process.off(signal, this.handler);
  }

  private raise(): void {
    if (!this.signal.aborted) {
      this.raisedAtMs = Date.now();
      this.controller.abort();
      return;
    }
    if (Date.now() - this.raisedAtMs < sameWithinMs) return;
    this.onSecond();
    process.exit(130);
  }
}
