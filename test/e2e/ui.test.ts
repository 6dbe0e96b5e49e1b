// Temporal's own web UI, driven by a real browser against a real server and worker: starting from the form, deciding
// about failed shards, and being told what is wrong with an input.
import { mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pipelineResult, type PipelineResult } from '../../schemas/progress.ts';
import { writeTestCorpus } from '../../bench/corpus.ts';
import { until } from '../workflows/fixtures.ts';
import { Processes } from './processes.ts';
import { TemporalUi } from './temporalUi.ts';

const limit = 400_000;
const folder = mkdtempSync(join(tmpdir(), 'saeflow-ui-'));
const corpus = { paths: [join(folder, 'corpus.jsonl')] };
let processes: Processes;
let client: Client;
let ui: TemporalUi;

beforeAll(async () => {
  await writeTestCorpus(corpus.paths[0]!);
  processes = await Processes.start(folder);
  client = await processes.client();
  ui = await TemporalUi.open(processes.uiUrl);
}, 600_000);
afterAll(async () => {
  await ui?.close();
  await client?.connection.close();
  await processes?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const start = (workflowId: string, type: string, input: unknown, picture?: string) => ui.start({ workflowId, type, input: JSON.stringify(input, null, 2) }, picture);
const resultOf = async (workflowId: string): Promise<PipelineResult> => pipelineResult.parse(await client.workflow.getHandle(workflowId).result());

describe("Temporal's UI", () => {
  it(
    'shows a stage that waits for a decision, takes it by Update, and the run finishes',
    async () => {
      await start('sound', 'pipeline', { preset: 'tiny', seed: 12, corpus });
      const { stages } = await resultOf('sound');
      const shard = join(processes.storeDir, 'tokenize', stages[0]!.artifact.key, 'shards/00000.train.bin');
      renameSync(shard, `${shard}.away`);

      await start('torn', 'pipeline', { preset: 'tiny', name: 'torn', seed: 12, corpus, activations: { prompts: 256 }, execution: { shardAttempts: 1 } });
      await until(async () => (await ui.list("SaeflowFailedShards > 0 AND WorkflowType = 'pipeline'")).includes('torn'));
      await ui.openWorkflow('torn', 'User Metadata');
      await ui.untilDetails(/waits for a decision .* shards? parked in saeflow\/sampleActivations\/\w+: its current details say what to do/);
      await ui.keep('ui-waits', { bottomOf: ui.detailsBox });

      const [stagePage] = await Promise.all([ui.page.waitForEvent('popup'), ui.detailsBox.contentFrame().getByRole('link', { name: /^saeflow\/sampleActivations/ }).click()]);
      const stage = decodeURIComponent(/workflows\/([^/]+)/.exec(stagePage.url())![1]!);
      await stagePage.close();
      await ui.openWorkflow(stage, 'User Metadata');
      expect(await ui.untilDetails(/shards? parked: all attempts are used up/)).toMatch(/retryFailedShards .*shard \d+: .*00000\.train\.bin/);
      await ui.keep('ui-parked', { bottomOf: ui.detailsBox });

      renameSync(`${shard}.away`, shard);
      await ui.openWorkflow(stage, 'User Metadata');
      await ui.update('retryFailedShards', '{}', 'ui-update');
      await ui.openWorkflow('torn', 'User Metadata');
      await ui.untilStatus('Completed');
      await until(async () => !(await ui.list("SaeflowFailedShards > 0 AND WorkflowType = 'pipeline'")).includes('torn'));
    },
    limit,
  );

  it(
    'shows every field of a wrong input, after a single workflow task',
    async () => {
      await start('wrong', 'pipeline', { preset: 'tiny', seed: -1, saes: [{ features: 'many', hok: 'x' }], transformer: { architecture: { nHead: 3 } } });
      await ui.openWorkflow('wrong');
      await ui.untilStatus('Failed');
      const said = await ui.page.locator('main').innerText();
      for (const field of ['4 fields are wrong in the configuration', 'seed: Too small', 'nHead: dModel 32 is not divisible by nHead 3', 'saes.0.features: Invalid input: expected number, received string', 'saes.0.hok: no such field']) expect(said).toContain(field);
      await ui.keep('ui-wrong-input', { bottomOf: ui.page.getByRole('heading', { name: 'Event History' }) });
      const { events } = await client.workflow.getHandle('wrong').fetchHistory();
      expect((events ?? []).filter(({ workflowTaskScheduledEventAttributes: scheduled }) => scheduled).length).toBe(1);
    },
    limit,
  );
});
