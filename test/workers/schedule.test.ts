// Retraining with everything real: a schedule on a glob of files. Nothing new ends in seconds and says so; a new file makes
// new artifacts and a comparison with the run before, in the store and in the report; a corpus that is gone pauses the schedule.
import { appendFileSync, copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ScheduleOverlapPolicy } from '@temporalio/client';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findReport } from '../../cli/reports.ts';
import { createSchedule, describeSchedule, recentRuns, triggerSchedule } from '../../cli/schedules.ts';
import { summarize } from '../../cli/summary.ts';
import { openStore } from '../../data/artifactStore.ts';
import { comparisonPath, readComparison } from '../../data/comparison.ts';
import { resolveInput } from '../../presets/resolve.ts';
import { featureMatches } from '../../schemas/comparison.ts';
import type { PipelineResult } from '../../schemas/progress.ts';
import { startWorkers } from '../../workers/worker.ts';
import { until } from '../workflows/fixtures.ts';
import { startTemporal } from '../workflows/temporalEnvironment.ts';
import { writeSmallCorpus } from './smallCorpus.ts';

let folder: string;
let environment: TestWorkflowEnvironment;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'saeflow-retraining-'));
  environment = await startTemporal();
}, 600_000);
afterAll(async () => {
  await environment?.teardown();
  rmSync(folder, { recursive: true, force: true });
});

async function withRealWorkers(storeUri: string, work: () => Promise<void>): Promise<void> {
  const workers = await startWorkers({ connection: { address: environment.address }, namespace: environment.namespace ?? 'default', storeUri, queues: ['workflows', 'cpu', 'gpu'], threads: 1 });
  const running = workers.run();
  try {
    await work();
  } finally {
    workers.shutdown();
    await running;
  }
}

describe('a schedule', () => {
  it(
    'retrains when there are new data, compares the new SAE with the one before, and pauses itself when a run fails',
    async () => {
      const texts = join(folder, 'texts');
      mkdirSync(texts);
      const corpus = writeSmallCorpus(texts);
      const storeUri = join(folder, 'store');
      const store = openStore(storeUri);
      const { client } = environment;
      const name = 'retraining';
      const config = resolveInput({ preset: 'tiny', name, corpus: { paths: [join(texts, '*.jsonl')] } });
      const times = { cronExpressions: ['0 3 1 1 *'] };
      await createSchedule(client, { name, config, times, overlap: ScheduleOverlapPolicy.SKIP, catchUpMs: 60_000, pauseOnFailure: true, paused: false });
      const trigger = async () => {
        const workflowId = (await triggerSchedule(client, name))!;
        const result = (await client.workflow.getHandle(workflowId).result()) as PipelineResult;
        // the schedule itself learns of it a moment later, and would skip the next one until then
        await until(async () => (await describeSchedule(client, name)).info.runningActions.length === 0);
        return { workflowId, result };
      };

      await withRealWorkers(storeUri, async () => {
        const first = await trigger();
        expect(first.result.stages.every(({ cached }) => !cached)).toBe(true);
        expect(first.result.changes).toMatchObject({ previous: null, saes: [] });

        const second = await trigger();
        expect(second.result.stages).toEqual(first.result.stages.map(({ artifact }) => ({ artifact, cached: true })));
        expect(second.result.changes).toMatchObject({ nothingNew: true, summary: expect.stringMatching(new RegExp(`^nothing new since run ${first.workflowId} of .*: every stage was found$`)) as string });
        expect(await store.list('comparisons/')).toEqual([]);

        copyFileSync(corpus, join(texts, 'more.jsonl'));
        appendFileSync(join(texts, 'more.jsonl'), `${JSON.stringify({ id: 'new', lang: 'en', text: 'A line that was not there before. '.repeat(40) })}\n`);
        const third = await trigger();
        expect(third.result.stages.every(({ cached }) => !cached)).toBe(true);
        expect(third.result.changes).toMatchObject({ nothingNew: false, previous: { workflowId: second.workflowId } });
        const [{ comparison } = { comparison: null }] = third.result.changes!.saes;
        const dashboards = [second, third].map(({ result }) => result.stages.at(-1)!.artifact);
        expect([comparison!.before, comparison!.after].map(({ exportDashboard }) => exportDashboard)).toEqual(dashboards.map(({ key }) => key));
        expect(comparison!.metrics.l0).toEqual({ before: dashboards[0]!.metrics['l0'], after: dashboards[1]!.metrics['l0'] });
        const { kept, lost, new: fresh } = comparison!.features!;
        const fired = dashboards.map(({ metrics }) => metrics['alive']! + metrics['ultraLow']!);
        expect([kept + lost, kept + fresh]).toEqual(fired);
        expect(await readComparison(store, comparison!.key)).toEqual(comparison);
        const matches = featureMatches.parse(JSON.parse(Buffer.from(await store.get(comparisonPath(comparison!.key, 'features.json'))).toString()));
        expect(matches.before.filter((feature) => feature >= 0).length).toBe(kept);
        // no note of who compared is left in the finished artifact
        expect((await store.list('exportDashboard/')).filter(({ path }) => path.includes('/work/'))).toEqual([]);

        const { report } = await findReport(storeUri, third.workflowId);
        expect(report).toMatchObject({ workflowId: third.workflowId, changes: third.result.changes });
        expect(summarize(report).join('\n')).toContain(`${kept} kept, ${lost} lost, ${fresh} new`);

        rmSync(texts, { recursive: true });
        const fourth = (await triggerSchedule(client, name))!;
        const description = await until(async () => {
          const now = await describeSchedule(client, name);
          return now.state.paused && now;
        });
        expect(description.state.note).toContain(fourth);
        expect((await recentRuns(client, description, 1))[0]).toMatchObject({ workflowId: fourth, status: 'failed', outcome: expect.stringContaining('matches no file') as string });
      });
    },
    300_000,
  );
});
