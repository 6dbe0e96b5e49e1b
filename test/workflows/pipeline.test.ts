// The whole pipeline on a real Temporal server, with activities of a test's world: what is found is not made, what
// another run makes is waited for, and a wrong input fails at once.
import type { WorkflowFailedError, WorkflowHandle } from '@temporalio/client';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { taskQueues, type PipelineResult, type RunProgress } from '../../schemas/progress.ts';
import { pauseSignal, resumeSignal, runProgressQuery } from '../../workflows/messages.ts';
import { freshRun, listed, quiet, until, withoutSummary } from './fixtures.ts';
import { startTemporal } from './temporalEnvironment.ts';
import { withWorkers } from './testWorkers.ts';
import { World } from './world.ts';

type Pipeline = (input?: unknown) => Promise<PipelineResult>;

let environment: TestWorkflowEnvironment;
let world: World;
let started = 0;

beforeAll(async () => {
  environment = await startTemporal();
}, 600_000);
afterAll(() => environment?.teardown());
beforeEach(() => {
  world = new World();
});

const run = (work: () => Promise<void>) => withWorkers(environment, world, work);
const start = (...args: [input?: unknown]): Promise<WorkflowHandle<Pipeline>> =>
  environment.client.workflow.start<Pipeline>('pipeline', { workflowId: `pipeline-${++started}`, taskQueue: taskQueues.workflows, args });
const stagesOf = async (handle: WorkflowHandle<Pipeline>) => (await handle.query<RunProgress>(runProgressQuery)).stages;
const failureOf = async (handle: WorkflowHandle<Pipeline>) => ((await handle.result().catch((reason: unknown) => reason)) as WorkflowFailedError).cause;

describe('pipeline', () => {
  it('runs the five stages in order, each a child workflow named after what it makes', () =>
    run(async () => {
      const handle = await start(freshRun('five'));
      const result = await handle.result();
      expect(result.stages.map(({ artifact, cached }) => [artifact.stage, cached])).toEqual([
        ['tokenize', false],
        ['trainTransformer', false],
        ['sampleActivations', false],
        ['trainSae', false],
        ['exportDashboard', false],
      ]);
      expect(result).toMatchObject({ run: 'five', reportUri: 'memory/five.json' });
      expect(world.log.filter((entry) => entry.startsWith('writeFeaturesBlock')).sort()).toEqual(['writeFeaturesBlock+4/0', 'writeFeaturesBlock+4/1']);
      expect(world.log.filter((entry) => entry.startsWith('mapFeatures'))).toEqual(['mapFeatures+6/0']);
      expect(world.log.filter((entry) => entry.startsWith('writeTexts'))).toEqual(['writeTexts/7']);
      for (const { artifact } of result.stages) {
        const child = await environment.client.workflow.getHandle(`saeflow/${artifact.stage}/${artifact.key.slice(0, 12)}`).describe();
        expect(child).toMatchObject({ type: artifact.stage, status: { name: 'COMPLETED' } });
        expect(await withoutSummary(environment.client, child.workflowId)).toEqual([]);
      }
      expect(await withoutSummary(environment.client, handle.workflowId)).toEqual([]);
      expect(await stagesOf(handle)).toMatchObject(Array.from({ length: 5 }, () => ({ state: 'done', label: '' })));
      const details = JSON.stringify(await handle.query('__temporal_workflow_metadata'));
      expect(details).toMatch(/5 of 5 stages finished.*\| \[trainTransformer\]\(\/namespaces\/default\/workflows\/saeflow%2FtrainTransformer%2F\w+\) \| done \| 100 % of 60 steps/);
      await until(async () => (await listed(environment.client, `SaeflowRun = 'five' AND SaeflowConfigHash = '${result.configHash}'`)).length === 6);
    }));

  it('finds an imported tokenizer first: its content, not its place, decides what is made', () =>
    run(async () => {
      const input = freshRun('imported');
      const runWith = async (tokenizer: string) => (await start({ ...input, tokenize: { ...input.tokenize, tokenizer } })).result();
      const first = await runWith('a.json');
      expect(first.stages.map(({ cached }) => cached)).toEqual([false, false, false, false, false]);
      expect(world.log.slice(0, 2)).toEqual(['resolveTokenizer a.json', expect.stringMatching(/^tokenizeShard/)]);
      const second = await runWith('b.json');
      expect(second.stages.map(({ cached }) => cached)).toEqual([true, true, true, true, true]);
    }));

  it('trains every SAE on the activations of its hook, which are sampled once', () =>
    run(async () => {
      const handle = await start({
        ...freshRun('sweep'),
        saes: [
          { name: 'narrow', features: 32 },
          { name: 'wide', features: 96 },
          { name: 'early', hook: 'blocks.0.hook_resid_pre' },
        ],
      });
      const { stages } = await handle.result();
      expect(stages.map(({ artifact }) => artifact.stage)).toEqual([
        'tokenize',
        'trainTransformer',
        ...['sampleActivations', 'sampleActivations'],
        ...['trainSae', 'trainSae', 'trainSae'],
        ...['exportDashboard', 'exportDashboard', 'exportDashboard'],
      ]);
      expect((await stagesOf(handle)).map(({ label }) => label)).toEqual(['', '', 'blocks.0.mlp.hook_post', 'blocks.0.hook_resid_pre', 'narrow', 'wide', 'early', 'narrow', 'wide', 'early']);
      expect(world.log.filter((entry) => entry.startsWith('sampleShard')).length).toBe(8);
    }));

  it('starts no child for what is in the store: a run whose inputs have not changed only looks up', () =>
    run(async () => {
      const input = freshRun('again');
      const first = await (await start(input)).result();
      const ran = world.log.length;
      const handle = await start(input);
      const second = await handle.result();
      expect(second.stages).toEqual(first.stages.map(({ artifact }) => ({ artifact, cached: true })));
      expect(second.configHash).toBe(first.configHash);
      expect(world.log.length).toBe(ran);
      const { events } = await handle.fetchHistory();
      expect(events?.filter(({ startChildWorkflowExecutionInitiatedEventAttributes: child }) => child)).toEqual([]);
      expect((await stagesOf(handle)).map(({ state }) => state)).toEqual(Array.from({ length: 5 }, () => 'cached'));
    }));

  it('says of the first run of a name that there is none before it, and of one whose inputs have not changed since which run that nothing is new', () =>
    run(async () => {
      const input = freshRun('unchanged');
      const first = await start(input);
      expect((await first.result()).changes).toEqual({ previous: null, nothingNew: false, summary: 'the first run called unchanged in this store: there is none to compare it with', saes: [] });
      const second = await start(input);
      const { changes } = await second.result();
      const { workflowId, finishedAt } = world.published[0]!;
      expect(workflowId).toBe(first.workflowId);
      expect(changes).toMatchObject({ nothingNew: true, saes: [], previous: { workflowId, finishedAt } });
      const sentence = `nothing new since run ${workflowId} of ${finishedAt.slice(0, 16).replace('T', ' ')} UTC: every stage was found`;
      expect(changes?.summary).toBe(sentence);
      expect(JSON.stringify(await second.query('__temporal_workflow_metadata'))).toContain(`**${sentence}**`);
      expect(world.log).not.toContain('compareSaes');
    }));

  it('compares each SAE that changed with the one of that name before, and shows it', () =>
    run(async () => {
      const saes = [{ name: 'narrow', features: 32 }, { name: 'wide', features: 96 }];
      const input = freshRun('compared');
      await (await start({ ...input, saes })).result();
      const handle = await start({ ...input, saes: [saes[0], { ...saes[1], l1Coefficient: 0.02 }, { name: 'third', features: 48 }] });
      const { changes } = await handle.result();
      expect(changes?.nothingNew).toBe(false);
      expect(changes?.summary).toMatch(/^changed since run pipeline-\d+ of .* UTC; 1 of 3 SAEs compared$/);
      expect(changes?.saes).toMatchObject([
        { name: 'narrow', comparison: null, note: 'the same as before' },
        { name: 'wide', comparison: { features: { kept: 38, lost: 2, new: 3 } }, note: '' },
        { name: 'third', comparison: null, note: 'the run before had no SAE called third' },
      ]);
      expect(world.published.at(-1)?.changes).toEqual(changes);
      const details = JSON.stringify(await handle.query('__temporal_workflow_metadata'));
      expect(details).toContain(JSON.stringify('| **narrow** | the same as before | |\n| **wide** |  | |\n| validation loss | 2 | 1.500 |\n| L0 | 2 | 1.500 |').slice(1, -1));
      expect(details).toContain('| alive features | 40 | 41 |\\n| features by decoder cosine ≥ 0.7 | 2 lost | 38 kept, 3 new |');
    }));

  it('is done without a comparison that can not be made, and says why it is missing', () =>
    run(async () => {
      const input = freshRun('incomparable');
      await (await start(input)).result();
      world.comparisonError = 'the disk with the old SAE is gone';
      const handle = await start({ ...input, saes: [{ l1Coefficient: 0.02 }] });
      const { changes, reportUri } = await handle.result();
      expect(reportUri).toBe('memory/incomparable.json');
      expect(changes?.saes).toEqual([{ name: 'sae', comparison: null, note: 'the comparison is missing: the disk with the old SAE is gone' }]);
      expect(JSON.stringify(await handle.query('__temporal_workflow_metadata'))).toContain('the comparison is missing: the disk with the old SAE is gone');
    }));

  it('attaches to a run that is making the same, and computes nothing twice', () =>
    run(async () => {
      world.stepMs = 30;
      const input = freshRun('twin');
      const first = await start(input);
      await until(async () => world.log.includes('trainTransformerSegment 20'));
      const second = await start(input);
      // The second run sees the first one's progress, by the child's own word.
      await until(async () => (await stagesOf(second)).some(({ stage, state, done }) => stage === 'trainTransformer' && state === 'running' && done >= 40));
      const [made, attached] = await Promise.all([first.result(), second.result()]);
      expect(attached.stages.map(({ artifact }) => artifact)).toEqual(made.stages.map(({ artifact }) => artifact));
      expect(new Set(world.log).size).toBe(world.log.length);
    }));

  it('takes over what it waited for when the run that made it is cancelled', () =>
    run(async () => {
      world.stepMs = 30;
      const input = freshRun('heir');
      const first = await start(input);
      await until(async () => world.log.includes('trainTransformerSegment 20'));
      const second = await start(input);
      await until(async () => (await stagesOf(second)).some(({ stage, state }) => stage === 'trainTransformer' && state === 'running'));
      await first.cancel();
      expect(await failureOf(first)).toMatchObject({ name: 'CancelledFailure' });
      const { stages } = await second.result();
      expect(stages[1]).toMatchObject({ cached: false, artifact: { stage: 'trainTransformer' } });
    }));

  it('cancels its children with itself; what they finished stays', () =>
    run(async () => {
      world.stepMs = 30;
      const input = freshRun('cancelled');
      const handle = await start(input);
      const training = await until(async () => (await stagesOf(handle)).find(({ stage, state }) => stage === 'trainTransformer' && state === 'running'));
      await handle.cancel();
      expect(await failureOf(handle)).toMatchObject({ name: 'CancelledFailure' });
      expect((await environment.client.workflow.getHandle(training.workflowId!).describe()).status.name).toBe('CANCELLED');
      world.stepMs = 0;
      const { stages } = await (await start(input)).result();
      expect(stages.map(({ cached }) => cached)).toEqual([true, false, false, false, false]);
    }));

  it('forwards pause and resume to the stage that runs', () =>
    run(async () => {
      world.stepMs = 30;
      const handle = await start(freshRun('paused'));
      await until(async () => (await stagesOf(handle)).some(({ stage, state }) => stage === 'trainTransformer' && state === 'running'));
      await handle.signal(pauseSignal);
      await until(async () => (await stagesOf(handle))[1]?.state === 'paused');
      const { done = 0, total = 0 } = (await stagesOf(handle))[1] ?? {};
      expect(done).toBeLessThan(total);
      await quiet(() => world.log.length);
      expect(world.log.some((entry) => entry.startsWith('sampleShard'))).toBe(false);
      world.stepMs = 0;
      await handle.signal(resumeSignal);
      await handle.result();
    }));

  it('shows which stage is blocked, and goes on when that stage was helped', () =>
    run(async () => {
      world.failing.set(2, 'bad shard');
      const handle = await start({ ...freshRun('blocked'), execution: { shardAttempts: 1 } });
      const blocked = await until(async () => (await stagesOf(handle)).find(({ state }) => state === 'blocked'));
      expect(blocked).toMatchObject({ stage: 'tokenize', failedShards: 1 });
      expect(JSON.stringify(await handle.query('__temporal_workflow_metadata'))).toContain(`1 shard parked in [${blocked.workflowId}]`);
      await until(async () => (await listed(environment.client, "SaeflowRun = 'blocked' AND SaeflowFailedShards = 1 AND WorkflowType = 'pipeline'")).length === 1);
      world.failing.clear();
      await environment.client.workflow.getHandle(blocked.workflowId!).executeUpdate('retryFailedShards', { args: [{}] });
      await handle.result();
    }));

  it('refuses a wrong configuration in its first task, naming every field and value, and nothing runs', () =>
    run(async () => {
      const handle = await start({ preset: 'tiny', seed: -1, saes: [{ features: 'many', hok: 'x' }], transformer: { architecture: { nHead: 3 } } });
      const failure = await failureOf(handle);
      expect(failure).toMatchObject({ type: 'InvalidConfiguration', nonRetryable: true });
      expect(failure?.message.split('\n').slice(0, 5)).toEqual([
        '4 fields are wrong in the configuration:',
        'seed: Too small: expected number to be >=0 (got -1)',
        'transformer.architecture.nHead: dModel 32 is not divisible by nHead 3: choose nHead among the divisors of dModel (got 3)',
        'saes.0.features: Invalid input: expected number, received string (got "many")',
        'saes.0.hok: no such field (got "x")',
      ]);
      expect((await handle.describe()).historyLength).toBeLessThanOrEqual(5);
      expect(world.log).toEqual([]);
    }));

  it.each([['nothing', []], ['an empty object', [{}]], ['null', [null]], ["a preset's name", ['demo']]] as [string, [unknown?]][])('takes %s as the demo', (_what, args) =>
    run(async () => {
      const handle = await start(...args);
      expect((await handle.result()).run).toBe('demo');
    }));
});
