// Labels from a local endpoint that speaks the protocol and misbehaves as real ones do. No question is asked twice,
// whatever breaks in between, and no more is spent than was allowed.
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { labelBatch } from '../../activities/labelBatch.ts';
import { openStore, type ArtifactStore } from '../../data/artifactStore.ts';
import { retryAfterMs } from '../../data/chatAnswers.ts';
import { balancedAccuracy, cleanLabel, spearman } from '../../data/interpretation.ts';
import { readLabels } from '../../data/labels.ts';
import { labelConfig, type LabelBatchResult, type LabelSpending } from '../../schemas/labels.ts';
import { dashboardKey, deadFeature, putSite } from '../data/exchangeSite.ts';
import { startChatServer, tokensPerAnswer, tokensPerQuestion, type ChatServer } from './chatServer.ts';

const folder = mkdtempSync(join(tmpdir(), 'saeflow-labels-'));
const nothing: LabelSpending = { requests: 0, inputTokens: 0, outputTokens: 0 };
let stores = 0;
let store: ArtifactStore;
let chat: ChatServer;

beforeEach(async () => {
  store = openStore(join(folder, String(stores++)));
  await putSite(store);
  // Feature 1 fires on token 4, a new line.
  chat = await startChatServer('line breaks', (token) => token.includes('\n'));
});
afterEach(async () => {
  delete process.env['SAEFLOW_LABELS_API_KEY'];
  await chat.close();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function label(features: number[], change: object = {}, { job = 'job', spent = nothing, environment = new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') }) } = {}): Promise<LabelBatchResult> {
  const config = labelConfig.parse({ endpoint: chat.endpoint, model: 'm', requestsPerMinute: 1e6, concurrency: 1, ...change });
  return environment.run(() => labelBatch(store, { job, dashboard: dashboardKey, features, config, spent })) as Promise<LabelBatchResult>;
}
const once = () => expect(new Set(chat.asked).size).toBe(chat.asked.length);

describe('labelBatch', () => {
  it('explains a feature, scores the words on other examples, and writes labels.json', async () => {
    const result = await label([1, deadFeature]);
    expect(result).toMatchObject({ labelled: 1, skipped: 1, budgetReached: false, spent: { requests: chat.asked.length, inputTokens: tokensPerQuestion * chat.asked.length, outputTokens: tokensPerAnswer * chat.asked.length } });
    const labels = await readLabels(store, dashboardKey);
    expect(labels).toMatchObject({ model: 'm', labels: [{ feature: 1, text: 'line breaks', detection: 1 }] });
    expect(labels!.labels[0]!.spearman).toBeGreaterThan(0.9);
    const explained = chat.asked.filter((body) => body.includes('You study one feature'));
    expect(explained).toHaveLength(1);
    once();
  });

  it('asks nothing the second time, and keeps the labels of other features', async () => {
    await label([1]);
    const asked = chat.asked.length;
    expect(await label([1, 2], {}, { job: 'another' })).toMatchObject({ labelled: 2 });
    expect((await readLabels(store, dashboardKey))!.labels.map(({ feature }) => feature)).toEqual([1, 2]);
    expect(chat.asked.slice(asked).every((body) => !chat.asked.slice(0, asked).includes(body))).toBe(true);
    once();
  });

  it('waits as long as Retry-After says, and tries again after faults of the server and answers that are no JSON', async () => {
    chat.faults.push({ status: 429, headers: { 'retry-after': '0' } }, { status: 503, headers: { 'retry-after': '0' } }, { status: 200, body: '<html>' });
    const started = performance.now();
    expect(await label([1], { scoredExamples: 0 })).toMatchObject({ labelled: 1, spent: { requests: 4, inputTokens: tokensPerQuestion } });
    expect(performance.now() - started).toBeGreaterThan(3_500); // the third fault names no time: 1 s · 2²
    chat.faults.push({ status: 429, headers: { 'retry-after': '1' } });
    const again = performance.now();
    await label([2], { scoredExamples: 0 });
    expect(performance.now() - again).toBeGreaterThan(950);
  });

  it('gives up with what to do when faults do not end, when the key is refused, and when the request is', async () => {
    for (let fault = 0; fault < 2; fault++) chat.faults.push({ status: 500, headers: { 'retry-after': '0' } });
    await expect(label([1], { attempts: 2 })).rejects.toThrow(/status 500 \(2 tries\)/);
    chat.faults.push({ status: 401 });
    await expect(label([1])).rejects.toThrow(/refuses the API key/);
    chat.faults.push({ status: 404, body: 'no such model' });
    await expect(label([1])).rejects.toThrow(/status 404: no such model/);
    await chat.close();
    await expect(label([1], { attempts: 1 })).rejects.toThrow(/no answer/);
  });

  it('leaves a score out where the model answers something else, and keeps the label', async () => {
    chat.answer = (user) => (user.startsWith('The feature fires on') ? 'I cannot know [1, 2' : undefined);
    await label([1]);
    expect((await readLabels(store, dashboardKey))!.labels).toEqual([{ feature: 1, text: 'line breaks', spearman: null, detection: null }]);
  });

  it('stops at the budget of requests, of tokens, of money, and goes on from there with more', async () => {
    expect(await label([1, 2], { budget: { requests: 3 } })).toMatchObject({ labelled: 0, budgetReached: true, spent: { requests: 3 } });
    expect(chat.asked).toHaveLength(3);
    expect(await label([1, 2], { budget: { tokens: 5 * (tokensPerQuestion + tokensPerAnswer) } }, { job: 'second' })).toMatchObject({ budgetReached: true, spent: { requests: 5 } });
    expect(await label([1, 2], { budget: { cost: 0.000_3 }, prices: { input: 1, output: 0 } }, { job: 'third' })).toMatchObject({ budgetReached: true, spent: { requests: 3 } });
    expect(await label([1, 2], {}, { job: 'fourth' })).toMatchObject({ labelled: 2, budgetReached: false });
    once();
  });

  it('killed midway it asks only what was not answered, and what it had spent still counts', async () => {
    const environment = new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') });
    chat.onRequest = (count) => {
      if (count === 5) environment.cancel();
    };
    await expect(label([1, 2], {}, { environment })).rejects.toThrow();
    const asked = chat.asked.length;
    chat.onRequest = undefined;
    const answered = new Set(chat.asked.slice(0, asked - 1));
    const resumed = await label([1, 2]);
    expect(resumed).toMatchObject({ labelled: 2 });
    expect(chat.asked.slice(asked).filter((body) => answered.has(body))).toEqual([]);
    // The one that was cut off is not known to have been paid for.
    expect(resumed.spent.requests).toBe(chat.asked.length - 1);
  });

  it('sends the key in its header, and writes it nowhere', async () => {
    process.env['SAEFLOW_LABELS_API_KEY'] = 'sk-secret-of-mine';
    await label([1], { scoredExamples: 0 });
    expect(chat.headers.map(({ authorization }) => authorization)).toEqual(['Bearer sk-secret-of-mine']);
    const written = readdirSync(join(folder, String(stores - 1)), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    expect(written.length).toBeGreaterThan(5);
    for (const entry of written) expect(readFileSync(join(entry.parentPath, entry.name), 'utf8')).not.toContain('sk-secret');
  });

  it('keeps to the pace it was given', async () => {
    const started = performance.now();
    await label([1, 2, 3, 4], { requestsPerMinute: 300, scoredExamples: 0, concurrency: 4 });
    expect(performance.now() - started).toBeGreaterThan(590); // four starts, 200 ms apart
  });
});

describe('scores', () => {
  it('are what Spearman and balanced accuracy are by hand, ties at their mean rank', () => {
    expect(spearman([1, 2, 3, 4], [10, 20, 30, 40])).toBeCloseTo(1, 12);
    expect(spearman([1, 2, 3, 4], [4, 3, 2, 1])).toBeCloseTo(-1, 12);
    // Ranks 1 2.5 2.5 4 and 1 2 3 4: 1 - by covariance 4.5 / √(4.5 · 5).
    expect(spearman([1, 5, 5, 9], [1, 2, 3, 4])).toBeCloseTo(4.5 / Math.sqrt(4.5 * 5), 12);
    expect(spearman([0, 0, 0], [1, 2, 3])).toBeNull();
    expect(balancedAccuracy([true, false, false, false], [true, true, true, false])).toBeCloseTo((1 / 3 + 1) / 2, 12);
  });

  it('labels are the first line without its wrapping, and not endless', () => {
    expect(cleanLabel('\n “German nouns.”\nBecause …')).toBe('German nouns');
    expect(cleanLabel('x'.repeat(1_000))).toHaveLength(200);
  });

  it('Retry-After is read in both its forms', () => {
    expect(retryAfterMs('2')).toBe(2_000);
    expect(retryAfterMs('Sat, 28 Nov 2026 12:00:05 GMT', Date.UTC(2026, 10, 28, 12))).toBe(5_000);
    expect([retryAfterMs(null), retryAfterMs('soon'), retryAfterMs('-3')]).toEqual([undefined, undefined, 0]);
  });
});
