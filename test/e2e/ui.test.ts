// Temporal's own web UI, driven by a real browser against a real server and worker: starting from the form, watching,
// pausing, deciding about failed shards, being told what is wrong with an input; and `saeflow status` says the same.
import { existsSync, mkdtempSync, readdirSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { configHash } from '../../data/configHash.ts';
import { resolveInput } from '../../presets/resolve.ts';
import { pipelineResult, stagesResult, type PipelineResult } from '../../schemas/progress.ts';
import type { StageName } from '../../schemas/stages.ts';
import { stageWorkflowId } from '../../schemas/stages.ts';
import { writeTestCorpus } from '../../bench/corpus.ts';
import { runCli, startCli } from '../cli/runCli.ts';
import { listed, pendingActivities, stageWorkflowOf, until as untilWithin } from '../workflows/fixtures.ts';
import { Processes } from './processes.ts';
import { TemporalUi } from './temporalUi.ts';

const limit = 400_000;
/** A browser, a server, workers and their compute processes share the cores with whatever else is tested. */
const until = <T>(look: () => Promise<T | undefined | false>): Promise<T> => untilWithin(look, 180_000);
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

      expect(await ui.list('ExecutionStatus = "Running" AND SaeflowStage IS NOT NULL')).toContain(stage);
      await ui.keep('ui-list', { bottomOf: ui.page.getByRole('table').last() });

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
    'starts a whole configuration, shows its progress live, pauses, resumes and moves it, and makes nothing twice for the same request',
    async () => {
      const config = resolveInput({ preset: 'tiny', name: 'whole', seed: 21, corpus, tokenize: { splitSeed: 21 }, transformer: { training: { steps: 300, evaluateEverySteps: 15 } } });
      expect(await start('whole', 'pipeline', config)).toContain('Workflow started successfully');
      const watch = startCli(folder, ['status', 'whole', '--watch'], { TEMPORAL_ADDRESS: processes.address });
      await ui.openWorkflow('whole', 'User Metadata');
      const percentOf = (text: string) => Number(/trainTransformer running (\d+) % of 300 steps/.exec(text)?.[1]);
      const before = percentOf(await ui.untilDetails(/1 of 5 stages finished .*trainTransformer running \d+ % of 300 steps/));
      const going = /trainTransformer running \d+ % of 300 steps [\d.]+ steps a second, \d+ (s|min) left loss [\d.]+, val loss/;
      await until(async () => percentOf(await ui.untilDetails(going)) > before);
      await ui.keep('ui-running', { bottomOf: ui.detailsBox });

      await ui.signal('pause', 'ui-pause');
      const paused = await ui.untilDetails(/^paused · 1 of 5 stages finished .*trainTransformer paused/);
      const [, percent, numbers] = /trainTransformer paused (\d+) % of 300 steps (loss [\d.]+, val loss [\d.]+)/.exec(paused)!;
      expect(await pendingActivities(client, await stageWorkflowOf(client.workflow.getHandle('whole'), 'trainTransformer'))).toEqual([]);
      await ui.keep('ui-paused', { bottomOf: ui.detailsBox });

      // What the terminal says of it is what the page says.
      const inTerminal = ['paused', `${percent} %`, `${3 * Number(percent)}/300 steps`, ...numbers!.split(', ')];
      const { stdout } = await runCli(folder, ['status', 'whole'], { TEMPORAL_ADDRESS: processes.address });
      expect(stdout).toMatch(new RegExp(`‖ trainTransformer .*${inTerminal.join(' +')}\n`));
      const logged = new RegExp(`trainTransformer: ${inTerminal.join(', +')}`);
      await until(async () => logged.test(watch.output.stdout));

      expect(await start('whole', 'pipeline', config)).toContain('Workflow execution is already running');
      expect(await start('twin', 'pipeline', { ...config, name: 'twin' })).toContain('Workflow started successfully');
      await ui.openWorkflow('twin', 'User Metadata');
      await ui.untilDetails(new RegExp(`trainTransformer paused ${percent} % of 300 steps ${numbers}`));
      await ui.openWorkflow('whole', 'Workers');
      await ui.page.getByText(`@${hostname()}`).first().waitFor();
      await ui.keep('ui-workers', { bottomOf: ui.page.getByRole('table').last() });
      await ui.openWorkflow('whole', 'User Metadata');
      await ui.update('setPriority', '1');
      await ui.signal('resume');
      await ui.untilStatus('Completed');
      await ui.untilDetails(/5 of 5 stages finished/);
      expect((await watch.ended).stdout).toMatch(/report: .*whole/);
      await ui.openWorkflow('twin');
      await ui.untilStatus('Completed');
      const [made, attached] = [await resultOf('whole'), await resultOf('twin')];
      expect(attached.stages.map(({ artifact }) => artifact)).toEqual(made.stages.map(({ artifact }) => artifact));
      for (const [index, { artifact, cached }] of made.stages.entries()) {
        expect([cached, attached.stages[index]!.cached].sort()).toEqual([false, true]);
        expect((await listed(client, `WorkflowId = '${stageWorkflowId(artifact.stage, artifact.key)}'`)).length).toBe(1);
      }

      await start('whole', 'pipeline', config);
      await ui.openWorkflow('whole', 'User Metadata');
      await ui.untilStatus('Completed');
      expect(await ui.untilDetails(/5 of 5 stages finished/)).toMatch(/nothing new since run .*tokenize found/);
    },
    limit,
  );

  it(
    'starts each stage by its own type, with a preset and overrides: what it needs is made or found first',
    async () => {
      const stages: StageName[] = ['tokenize', 'trainTransformer', 'sampleActivations', 'trainSae', 'exportDashboard'];
      for (const [before, type] of stages.entries()) {
        await start(`only-${type}`, type, { preset: 'tiny', name: 'alone', seed: 31, corpus, tokenize: { splitSeed: 31 } }, type === 'trainSae' ? 'ui-start' : undefined);
        const result = stagesResult.parse(await client.workflow.getHandle(`only-${type}`).result());
        expect(result.stages.map(({ artifact, cached }) => [artifact.stage, cached])).toEqual(stages.slice(0, before + 1).map((stage) => [stage, stage !== type]));
      }
      await ui.openWorkflow('only-trainSae', 'User Metadata');
      await ui.untilDetails(/4 of 4 stages finished .*tokenize found .*trainSae done 100 % of 64 steps/);
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
    'lists what kills left in the store, deletes it when told to, and refuses an input that is none',
    async () => {
      await start('made', 'tokenize', { preset: 'tiny', name: 'made', corpus, tokenize: { splitSeed: 41 } });
      const { stages } = stagesResult.parse(await client.workflow.getHandle('made').result());
      const artifact = join(processes.storeDir, 'tokenize', stages[0]!.artifact.key);
      const left = join(artifact, 'shards/.tmp-77-ab');
      writeFileSync(left, 'x'.repeat(1_000));
      utimesSync(left, new Date(0), new Date(0));
      const kept = readdirSync(artifact, { recursive: true }).length - 1;

      await start('look', 'collectGarbage', {});
      await ui.openWorkflow('look', 'User Metadata');
      await ui.untilDetails(/would delete 1 file, 1\.0 kB.*writes that never ended.*\.tmp-77-ab/);
      await ui.keep('ui-garbage', { bottomOf: ui.detailsBox });
      expect(existsSync(left)).toBe(true);

      await start('sweep', 'collectGarbage', { delete: true });
      await ui.openWorkflow('sweep', 'User Metadata');
      await ui.untilDetails(/deleted 1 file, 1\.0 kB/);
      expect(existsSync(left)).toBe(false);
      expect(readdirSync(artifact, { recursive: true })).toHaveLength(kept);

      await start('odd', 'collectGarbage', { olderThan: 'soon' });
      await ui.openWorkflow('odd');
      await ui.untilStatus('Failed');
      expect(await ui.page.locator('main').innerText()).toContain('olderThan: give a number with a unit: 30m, 1h or 7d');
    },
    limit,
  );

  it(
    'shows which build of the workers is current, and that new runs are pinned to it',
    async () => {
      const env = { TEMPORAL_ADDRESS: processes.address };
      const newer = startCli(folder, ['worker', '--build-id', '0.2.0'], env);
      try {
        while (!newer.output.stderr.includes('build 0.2.0') && newer.child.exitCode === null) await sleep(100);
        // The server knows a build once it has heard from its pollers.
        await until(async () => (await runCli(folder, ['builds', 'use', '0.2.0'], env)).exitCode === 0);
        await start('pinned', 'tokenize', { preset: 'tiny', name: 'pinned', corpus, tokenize: { splitSeed: 77 } });
        await ui.openWorkflow('pinned');
        await ui.untilStatus('Completed');
        expect(await ui.page.locator('main').innerText()).toContain('0.2.0');
        await ui.openDeployment('saeflow');
        await ui.page.getByText('0.2.0').first().waitFor();
        await ui.keep('ui-builds', { bottomOf: ui.page.getByRole('table').last() });
      } finally {
        const back = await runCli(folder, ['builds', 'use', 'none'], env);
        newer.child.kill('SIGTERM');
        await newer.ended;
        expect(back.stdout).toContain('new runs begin on workers without a build id');
      }
    },
    limit,
  );

  // The last ones: the demo's corpus may have to be fetched, and a worker is still busy with that after the run's end.
  it.each([
    ['{}', 'demo'],
    ['"tiny"', 'tiny'],
  ])(
    'starts %s as the preset %s on the demo’s corpus, and cancels it',
    async (input, preset) => {
      const workflowId = `as-${preset}`;
      await ui.start({ workflowId, type: 'pipeline', input });
      const hash = configHash(resolveInput(preset));
      await until(async () => (await ui.list(`SaeflowRun = "${preset}" AND SaeflowConfigHash = "${hash}"`)).includes(workflowId));
      await ui.openWorkflow(workflowId);
      await ui.cancel();
      await ui.untilStatus('Canceled');
    },
    limit,
  );
});
