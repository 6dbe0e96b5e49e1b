// Automatic labels: what `saeflow label` asks of an OpenAI-compatible endpoint, within which limits, and what it spent.
// The API key is no part of it: workers have it from their environment alone.
import { z } from 'zod';
import { sha256Hex } from './stages.ts';

export const labelBudget = z.strictObject({
  /** Requests that reach the endpoint, tries again included. */
  requests: z.int().positive().default(1_000),
  /** Tokens of questions and answers together, as the endpoint counts them. */
  tokens: z.int().positive().default(2_000_000),
  /** In the unit of `prices`; null: no limit. */
  cost: z.number().positive().nullable().default(null),
});

export const labelConfig = z
  .strictObject({
    /** Up to and without /chat/completions. */
    endpoint: z.url({ protocol: /^https?$/ }).transform((url) => url.replace(/\/+$/, '')),
    model: z.string().min(1),
    requestsPerMinute: z.int().positive().default(60),
    /** Features at work at once. */
    concurrency: z.int().min(1).max(32).default(4),
    budget: labelBudget.prefault({}),
    /** Money for a million tokens. */
    prices: z.strictObject({ input: z.number().nonnegative(), output: z.number().nonnegative() }).nullable().default(null),
    /** Of a feature: shown to explain it, and others to score the explanation; 0 leaves scores out. */
    explainedExamples: z.int().min(1).max(50).default(10),
    scoredExamples: z.int().min(0).max(50).default(8),
    seed: z.int().default(1337),
    /** A request is given up after this long. */
    timeoutMs: z.int().positive().default(120_000),
    /** Tries of a request that the endpoint refuses for now, or fails. */
    attempts: z.int().min(1).max(20).default(6),
  })
  .refine(({ budget, prices }) => budget.cost === null || prices !== null, { path: ['budget', 'cost'], message: 'a limit of cost needs prices: give --price-input and --price-output' });
export type LabelConfig = z.infer<typeof labelConfig>;

export const labelSpending = z.strictObject({ requests: z.int().nonnegative(), inputTokens: z.int().nonnegative(), outputTokens: z.int().nonnegative() });
export type LabelSpending = z.infer<typeof labelSpending>;

/** Input of the workflow labelFeatures. */
export const labelInput = z.strictObject({ dashboard: sha256Hex, features: z.array(z.int().nonnegative()).min(1).max(5_000), config: labelConfig });
export type LabelInput = z.infer<typeof labelInput>;

/** One activity's share of it; `job` is the workflow run to whose budget answers count. */
export const labelBatchInput = z.strictObject({ job: z.string().min(1), ...labelInput.shape, spent: labelSpending });
export type LabelBatchInput = z.infer<typeof labelBatchInput>;

export const labelBatchResult = z.strictObject({ labelled: z.int(), skipped: z.int(), spent: labelSpending, budgetReached: z.boolean() });
export type LabelBatchResult = z.infer<typeof labelBatchResult>;

export type LabelResult = LabelBatchResult & { labelsUri: string };
