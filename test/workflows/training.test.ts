// Training stages on a real Temporal server: segments and resamplings in order, pause with a checkpoint, cancellation,
// continue-as-new, and the refusal of inputs that are not theirs.
import type { WorkflowFailedError } from '@temporalio/client';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { specKey } from '../../data/artifact.ts';
import type { StagesResult } from '../../schemas/progress.ts';
import { pauseSignal, resumeSignal } from '../../workflows/messages.ts';
import { stageWorkflowId } from '../../schemas/stages.ts';
import { activityResults, freshRun, freshSpec, idOf, listed, startStage, until, untilState } from './fixtures.ts';
import { startTemporal } from './temporalEnvironment.ts';
import { withWorkers } from './testWorkers.ts';
import { World } from './world.ts';

let environment: TestWorkflowEnvironment;
let world: World;

beforeAll(async () => {
  environment = await startTemporal();
}, 600_000);
afterAll(() => environment?.teardown());
beforeEach(() => {
  world = new World();
});

const run = (work: () => Promise<void>) => withWorkers(environment, world, work);

describe('a training stage', () => {
  it('runs segments between milestones, and each resampling as an activity of its own between two of them', () =>
    run(async () => {
      world.plan.milestones = [20, 40, 50, 60];
      world.plan.resamplings = [40, 50];
      const handle = await startStage(environment.client, freshSpec('trainSae'));
      await handle.result();
      expect(world.log).toEqual(['initialiseSae', 'trainSaeSegment 20', 'trainSaeSegment 40', 'resampleSae 40', 'trainSaeSegment 50', 'resampleSae 50', 'trainSaeSegment 60']);
      expect(await handle.query('progress')).toMatchObject({ state: 'done', done: 60, total: 60, unit: 'steps', metrics: { made: 1 } });
      expect(await handle.query('plan')).toMatchObject({ milestones: [20, 40, 50, 60], resamplings: [40, 50] });
      expect(await handle.query('artifacts')).toMatchObject([{ stage: 'trainSae' }]);
      expect(await activityResults(handle)).toContainEqual({ step: 40, metrics: { loss: 1 / 40 } });
    }));

  it('on pause saves where it is and holds no activity, and on resume goes on from there', () =>
    run(async () => {
      world.stepMs = 20;
      const spec = freshSpec('trainTransformer');
      const key = specKey(spec);
      const handle = await startStage(environment.client, spec);
      await until(async () => world.stepsOf(key) >= 25);
      await handle.signal(pauseSignal);
      await untilState(handle, 'paused');
      expect((await handle.describe()).raw.pendingActivities).toEqual([]);
      const saved = world.stepsOf(key);
      expect(saved).toBeLessThan(60);
      await new Promise((wait) => setTimeout(wait, 300));
      expect(world.stepsOf(key)).toBe(saved);

      await handle.signal(resumeSignal);
      await handle.result();
      expect(world.stepsOf(key)).toBe(60);
      expect(world.log.filter((entry) => entry.endsWith(' 20')).length).toBe(1);
    }));

  it('when cancelled waits for the checkpoint, ends as cancelled, and a new start goes on from it', () =>
    run(async () => {
      world.stepMs = 20;
      const spec = freshSpec('trainTransformer');
      const key = specKey(spec);
      const first = await startStage(environment.client, spec);
      await until(async () => world.stepsOf(key) >= 10);
      await first.cancel();
      await expect(first.result()).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } });
      const saved = world.stepsOf(key);
      await new Promise((wait) => setTimeout(wait, 200));
      expect(world.stepsOf(key)).toBe(saved);

      const second = await startStage(environment.client, spec);
      await second.result();
      expect(world.stepsOf(key)).toBe(60);
    }));

  it('continues as new before 3,000 events, with no segment repeated', () =>
    run(async () => {
      world.plan.milestones = Array.from({ length: 500 }, (_, index) => index + 1);
      world.plan.resamplings = [];
      const spec = freshSpec('trainSae');
      const handle = await startStage(environment.client, spec);
      await handle.result();
      expect(world.log.filter((entry) => entry === 'initialiseSae').length).toBe(1);
      expect(world.log.filter((entry) => entry.startsWith('trainSaeSegment'))).toEqual(world.plan.milestones.map((step) => `trainSaeSegment ${step}`));
      await until(async () => (await listed(environment.client, `WorkflowId = '${idOf(spec)}'`)).map(({ status }) => status).sort().join() === 'COMPLETED,CONTINUED_AS_NEW');
      for (const { historyLength } of await listed(environment.client, `WorkflowId = '${idOf(spec)}'`)) expect(historyLength).toBeLessThan(3_000);
    }));

  it('answers from the store when the artifact is there', () =>
    run(async () => {
      const spec = freshSpec('trainTransformer');
      const { artifact } = await (await startStage(environment.client, spec)).result();
      const ran = world.log.length;
      expect(await (await startStage(environment.client, spec)).result()).toEqual({ artifact, cached: true });
      expect(world.log.length).toBe(ran);
    }));
});

describe('a stage started alone', () => {
  it('with a configuration makes the stages before it too, as child workflows, and none after it', () =>
    run(async () => {
      const handle = await environment.client.workflow.start<(input: unknown) => Promise<StagesResult>>('sampleActivations', { workflowId: 'as-far-as-activations', taskQueue: 'saeflow', args: [freshRun('as-far')] });
      const { stages, ...rest } = await handle.result();
      expect(rest).toMatchObject({ run: 'as-far', configHash: expect.stringMatching(/^[0-9a-f]{64}$/) as string });
      expect(stages.map(({ artifact, cached }) => [artifact.stage, cached])).toEqual(['tokenize', 'trainTransformer', 'sampleActivations'].map((stage) => [stage, false]));
      expect(await handle.query('progress')).toMatchObject({ run: 'as-far', stages: stages.map(({ artifact: { stage, key } }) => ({ stage, key, state: 'done', workflowId: stageWorkflowId(stage, key) })) });
      expect(world.log.some((entry) => /Sae|Features/.test(entry))).toBe(false);
    }));

  it.each([
    ['another stage', (spec: object) => ({ spec }), 'spec.stage: this is the workflow tokenize (got trainSae): start the workflow trainSae'],
    ['nonsense', () => 'go', 'preset: no preset is called "go"'],
    ['a wrong configuration', () => ({ preset: 'tiny', seed: -1 }), 'seed: Too small: expected number to be >=0 (got -1)'],
    ['wrong settings', (spec: object) => ({ spec, execution: { concurrency: 0, onShardFailure: 'shrug' } }), 'execution.concurrency: Too small: expected number to be >0\nexecution.onShardFailure: Invalid option'],
  ])('refuses %s at once, naming what is wrong', (_what, inputOf, message) =>
    run(async () => {
      const input = inputOf(freshSpec('trainSae'));
      const handle = await environment.client.workflow.start('tokenize', { workflowId: `refused-${JSON.stringify(message).length}`, taskQueue: 'saeflow', args: [input] });
      const error = (await handle.result().catch((reason: unknown) => reason)) as WorkflowFailedError;
      expect(error.cause).toMatchObject({ type: 'InvalidConfiguration', nonRetryable: true });
      expect(error.cause?.message).toContain(message);
    }));
});
