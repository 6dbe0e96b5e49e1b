// One error for everything a person can mend: it names the field or file, the value, and the remedy.
// Activities turn it into a non-retryable failure, the CLI prints it without a stack and exits 1.

/**
 * An error in what came from outside (configuration, corpus, shard, environment), which a retry cannot mend.
 *
 * @example
 * throw new UserError('corpus.jsonl:7: not JSON: "{tex"', 'Fix or delete line 7.');
 */
export class UserError extends Error {
  override readonly name = 'UserError';
  /** What the reader should do about it, a sentence. */
  readonly remedy: string;

  constructor(message: string, remedy: string, options?: ErrorOptions) {
    super(message, options);
    this.remedy = remedy;
  }
}
