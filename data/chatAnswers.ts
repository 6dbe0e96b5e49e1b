// Questions to an OpenAI-compatible endpoint: each asked once for good, since its answer is kept in the store under the
// hash of the question, at the pace and within the budget that were given.
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { UserError } from '../schemas/errors.ts';
import type { LabelConfig, LabelSpending } from '../schemas/labels.ts';
import { NotFoundError, type ArtifactStore } from './artifactStore.ts';

/** What was asked for is not begun: the budget is used up. */
export class BudgetReached extends Error {
  override readonly name = 'BudgetReached';
}

/** The part of an answer that is used; endpoints add much else. */
const completion = z.object({
  choices: z.array(z.object({ message: z.object({ content: z.string().nullable() }) })).min(1),
  usage: z.object({ prompt_tokens: z.int().nonnegative(), completion_tokens: z.int().nonnegative() }).nullish(),
});
/** `job`: who paid for it. */
const keptAnswer = z.strictObject({ content: z.string(), job: z.string(), spent: z.strictObject({ requests: z.int(), inputTokens: z.int(), outputTokens: z.int() }) });

const firstRetryMs = 1_000;
const longestRetryMs = 60_000;

export interface Question {
  system: string;
  user: string;
}

export class ChatAnswers {
  private readonly underWay = new Map<string, Promise<string>>();
  private nextStartMs = 0;
  readonly spent: LabelSpending;

  /** `job` names whose budget it is: answers that this job paid for before it was interrupted count. */
  constructor(
    private readonly store: ArtifactStore,
    private readonly config: LabelConfig,
    private readonly job: string,
    spentBefore: LabelSpending,
    private readonly signal: AbortSignal,
    private readonly apiKey: string | undefined,
  ) {
    this.spent = { ...spentBefore };
  }

  /**
   * The answer, from the store or the endpoint.
   *
   * @throws BudgetReached; UserError when the endpoint refuses for good or does not answer as the protocol says.
   */
  ask(question: Question): Promise<string> {
    const { endpoint, model } = this.config;
    const messages = [{ role: 'system', content: question.system }, { role: 'user', content: question.user }];
    const body = JSON.stringify({ model, messages, temperature: 0 });
    const path = `labels/answers/${createHash('sha256').update(`${endpoint}\n${body}`).digest('hex')}.json`;
    const found = this.underWay.get(path);
    if (found !== undefined) return found;
    const answer = this.answer(path, body);
    this.underWay.set(path, answer);
    return answer;
  }

  private async answer(path: string, body: string): Promise<string> {
    const kept = await this.kept(path);
    if (kept !== undefined) {
      if (kept.job === this.job) this.count(kept.spent);
      return kept.content;
    }
    const spent: LabelSpending = { requests: 0, inputTokens: 0, outputTokens: 0 };
    for (let attempt = 1; ; attempt++) {
      await this.turn();
      if (this.isOver()) throw new BudgetReached('the budget is used up');
      spent.requests++;
      this.count({ requests: 1, inputTokens: 0, outputTokens: 0 });
      const outcome = await this.post(body);
      if ('content' in outcome) {
        const { inputTokens, outputTokens } = outcome;
        this.count({ requests: 0, inputTokens, outputTokens });
        const record = { content: outcome.content, job: this.job, spent: { requests: spent.requests, inputTokens, outputTokens } };
        await this.store.put(path, Buffer.from(JSON.stringify(keptAnswer.parse(record))));
        return outcome.content;
      }
      if (attempt === this.config.attempts) throw new UserError(`${this.config.endpoint}: ${outcome.trouble} (${attempt} tries)`, 'Look at the endpoint, or lower --rpm; then run the same command again: nothing that was answered is asked again.');
      await sleep(outcome.waitMs ?? Math.min(longestRetryMs, firstRetryMs * 2 ** (attempt - 1)), undefined, { signal: this.signal });
    }
  }

  private async kept(path: string): Promise<z.infer<typeof keptAnswer> | undefined> {
    try {
      return keptAnswer.parse(JSON.parse(Buffer.from(await this.store.get(path)).toString()));
    } catch (error) {
      if (error instanceof NotFoundError) return undefined;
      throw error;
    }
  }

  /** One request. What may pass is an outcome, what a person must mend a UserError. */
  private async post(body: string): Promise<{ content: string; inputTokens: number; outputTokens: number } | { trouble: string; waitMs?: number }> {
    const { endpoint, timeoutMs } = this.config;
    const headers = { 'content-type': 'application/json', ...(this.apiKey === undefined ? {} : { authorization: `Bearer ${this.apiKey}` }) };
    let status: number;
    let text: string;
    let retryAfter: string | null;
    try {
      const response = await fetch(`${endpoint}/chat/completions`, { method: 'POST', headers, body, redirect: 'error', signal: AbortSignal.any([this.signal, AbortSignal.timeout(timeoutMs)]) });
      ({ status } = response);
      retryAfter = response.headers.get('retry-after');
      text = await response.text();
    } catch (error) {
      this.signal.throwIfAborted();
      return { trouble: error instanceof Error ? `no answer (${error.cause instanceof Error ? error.cause.message : error.message})` : 'no answer' };
    }
    if (status === 408 || status === 409 || status === 429 || status >= 500) {
      const waitMs = retryAfterMs(retryAfter);
      return { trouble: `status ${status}`, ...(waitMs === undefined ? {} : { waitMs }) };
    }
    if (status === 401 || status === 403) throw new UserError(`${endpoint} refuses the API key (status ${status})`, 'Set SAEFLOW_LABELS_API_KEY (or OPENAI_API_KEY) where the worker starts.');
    if (status < 200 || status > 299) throw new UserError(`${endpoint} refuses the request: status ${status}: ${text.slice(0, 200)}`, 'Check --endpoint and --model.');
    const parsed = completion.safeParse(parseJson(text));
    if (!parsed.success) return { trouble: `no chat completion in the answer: ${text.slice(0, 100)}` };
    const { choices, usage } = parsed.data;
    return { content: choices[0]!.message.content ?? '', inputTokens: usage?.prompt_tokens ?? Math.ceil(body.length / 4), outputTokens: usage?.completion_tokens ?? Math.ceil(text.length / 4) };
  }

  /** Waits until the next request may start. */
  private async turn(): Promise<void> {
    const now = performance.now();
    const start = Math.max(now, this.nextStartMs);
    this.nextStartMs = start + 60_000 / this.config.requestsPerMinute;
    if (start > now) await sleep(start - now, undefined, { signal: this.signal });
  }

  private isOver(): boolean {
    const { budget, prices } = this.config;
    const { requests, inputTokens, outputTokens } = this.spent;
    const cost = prices === null ? 0 : (inputTokens * prices.input + outputTokens * prices.output) / 1e6;
    return requests >= budget.requests || inputTokens + outputTokens >= budget.tokens || (budget.cost !== null && cost >= budget.cost);
  }

  private count({ requests, inputTokens, outputTokens }: LabelSpending): void {
    this.spent.requests += requests;
    this.spent.inputTokens += inputTokens;
    this.spent.outputTokens += outputTokens;
  }
}

/** Retry-After in either of its forms; undefined where there is none that means anything. */
export function retryAfterMs(header: string | null, nowMs = Date.now()): number | undefined {
  if (header === null || header.trim() === '') return undefined;
  const seconds = Number(header);
  const ms = Number.isFinite(seconds) ? seconds * 1_000 : Date.parse(header) - nowMs;
  return Number.isFinite(ms) ? Math.min(Math.max(ms, 0), 10 * longestRetryMs) : undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
