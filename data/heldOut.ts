// How many windows of the held-out tokens evaluation and dashboard read: the same arithmetic for the plan and the work.

/**
 * Whole windows of `contextLength` tokens, each with a next token after its last, within the first `limit` tokens.
 *
 * @param limit tokens to read at most; null reads all
 */
export function heldOutWindows(tokens: number, contextLength: number, limit: number | null): number {
  const all = Math.floor((tokens - 1) / contextLength);
  return limit === null ? all : Math.min(all, Math.max(1, Math.floor(limit / contextLength)));
}
