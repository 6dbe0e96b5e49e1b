// Everything a person does in Temporal's own web UI, done there by a real browser against a real server and worker:
// starting from the form, watching, pausing, deciding about failed shards, and being told what is wrong with an input.
import { mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { resolveCorpus } from '../../activities/resolveCorpus.ts';
import { openStore } from '../../data/artifactStore.ts';
import { resolveInput } from '../../presets/resolve.ts';
import { pipelineResult, stageResult, type PipelineResult } from '../../schemas/progress.ts';
import type { StageSpec } from '../../schemas/stages.ts';
import { activationsSpec, dashboardSpec, saeSpec, tokenizeSpec, transformerSpec } from '../../workflows/specs.ts';
import { writeTestCorpus } from '../../bench/corpus.ts';
import { pendingActivities, stageWorkflowOf, until } from '../workflows/fixtures.ts';
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
    'starts a run from a full configuration, shows its stages as they go, pauses and resumes it, and shows it finished',
    async () => {
      const config = resolveInput({ preset: 'tiny', name: 'essays', seed: 11, corpus, transformer: { training: { steps: 2_000, evaluateEverySteps: 100 } } });
      expect(await start('essays', 'pipeline', config)).toContain('started successfully');
      expect(await ui.list("SaeflowRun = 'essays' AND WorkflowType = 'pipeline'")).toContain('essays');

      await ui.openWorkflow('essays', 'User Metadata');
      const first = await ui.untilDetails(/trainTransformer running \d+ % of 2,000 steps [\d.]+ steps a second, .* left loss [\d.]+, val loss [\d.]+/);
      expect(first).toContain('1 of 5 stages finished');
      await ui.keep('ui-details', { bottomOf: ui.detailsBox });
      await ui.untilDetails(new RegExp(`trainTransformer running (?!${percentOf(first)} )\\d+ %`));

      await ui.signal('pause', 'ui-pause');
      await ui.untilDetails(/paused .*trainTransformer paused/);
      await ui.keep('ui-paused', { bottomOf: ui.detailsBox });
      const training = await stageWorkflowOf(client.workflow.getHandle('essays'), 'trainTransformer');
      expect(await pendingActivities(client, training)).toEqual([]);
      expect(await start('essays', 'pipeline', config)).toContain('already running');

      await ui.openWorkflow('essays', 'User Metadata');
      await ui.signal('resume');
      await ui.untilStatus('Completed');
      expect(await ui.untilDetails(/5 of 5 stages finished/)).toMatch(/exportDashboard done 100 % of 2 blocks/);
      expect((await resultOf('essays')).stages.map(({ cached }) => cached)).toEqual([false, false, false, false, false]);
    },
    limit,
  );

  it.each([
    ['nothing but braces', '{}', 'demo'],
    ["a preset's name", '"tiny"', 'tiny'],
  ])(
    'starts from %s, and cancels',
    async (_what, input, run) => {
      const workflowId = `braces-${run}`;
      await ui.start({ workflowId, type: 'pipeline', input }, run === 'demo' ? 'ui-start' : undefined);
      await ui.openWorkflow(workflowId, 'User Metadata');
      await ui.untilDetails(/tokenize running \d+ % of \d+ shards/);
      expect(await client.workflow.getHandle(workflowId).query('progress')).toMatchObject({ run });
      await ui.cancel();
      await ui.untilStatus('Canceled');
    },
    limit,
  );

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
      expect(await ui.update("retryFailedShards", `{"shards": [77]}`)).toContain("shard 77");

      renameSync(`${shard}.away`, shard);
      await ui.openWorkflow(stage, 'User Metadata');
      await ui.update('retryFailedShards', '{}', 'ui-update');
      await ui.openWorkflow('torn', 'User Metadata');
      await ui.untilStatus('Completed');
      expect(await ui.list("SaeflowFailedShards > 0 AND WorkflowType = 'pipeline'")).not.toContain('torn');
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

  it(
    "starts each stage's type alone, one on the results of the other",
    async () => {
      const config = resolveInput({ preset: 'tiny', seed: 13, corpus });
      const [sae] = config.saes;
      const make = async (spec: StageSpec): Promise<string> => {
        const workflowId = `alone-${spec.stage}`;
        await start(workflowId, spec.stage, { spec });
        const { artifact, cached } = stageResult.parse(await client.workflow.getHandle(workflowId).result());
        expect(artifact.stage).toBe(spec.stage);
        if (spec.stage === 'trainTransformer') expect(cached).toBe(false);
        await ui.openWorkflow(workflowId, 'User Metadata');
        await ui.untilStatus('Completed');
        return artifact.key;
      };
      const { key } = await resolveCorpus({ store: openStore(processes.storeDir), cwd: folder }, config.corpus);
      const tokenize = await make(tokenizeSpec(config, key));
      const trainTransformer = await make(transformerSpec(config, { tokenize }));
      const sampleActivations = await make(activationsSpec(config, sae!.hook, { tokenize, trainTransformer }));
      const trainSae = await make(saeSpec(config, sae!, { sampleActivations }));
      await make(dashboardSpec(config, { tokenize, trainTransformer, sampleActivations, trainSae }));
      expect(await ui.untilDetails(/done/)).toContain('recovered');
    },
    limit,
  );
});

function percentOf(details: string): string {
  return /trainTransformer running (\d+) %/.exec(details)![1]!;
}
