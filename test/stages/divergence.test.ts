// Training that diverges: stopped with what, where and on which data, or gone back from at half the learning rate, with
// the same result however often it was stopped or killed on the way.
import { resolve } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { createGpuActivities } from '../../activities/gpu.ts';
import { artifactPath, writeSpec } from '../../data/artifact.ts';
import type { ArtifactStore } from '../../data/artifactStore.ts';
import { latestCheckpoint } from '../../data/checkpoint.ts';
import { rowsOf } from '../../data/inputs.ts';
import { planStage } from '../../data/plans.ts';
import { learningRateAt } from '../../model/transformerTraining.ts';
import type { SaeConfig, TransformerTrainingConfig } from '../../schemas/config.ts';
import { divergence, type Divergence } from '../../schemas/divergence.ts';
import type { Job } from '../../schemas/jobs.ts';
import { RandomStream } from '../../schemas/random.ts';
import type { StageSpec } from '../../schemas/stages.ts';
import { StoppedError, type JobContext } from '../../stages/context.ts';
import { divergencesWith, learningRateScaleAt, pinnedSteps } from '../../stages/divergence.ts';
import { runJob } from '../../stages/jobs.ts';
import { ComputePool } from '../../workers/computePool.ts';
import { runStage } from '../../stages/inProcess.ts';
import { failureOf, idOf, TinyInputs } from './tinyInputs.ts';

let inputs: TinyInputs;
let store: ArtifactStore;

// The warm-up takes the transformer past what it bears between the first and the second milestone (20 and 40); the SAE's
// second moments overflow before its first (16). No resampling: one from weights this large makes a milestone that no
// learning rate can go on from.
const tooFastSae = 3e5;
const tooFast = {
  transformer: (more: Partial<TransformerTrainingConfig> = {}) => inputs.transformer({ learningRate: 100, minLearningRate: 10, warmupSteps: 40, ...more }),
  sae: (more: Partial<SaeConfig> = {}) => inputs.sae({ learningRate: tooFastSae, resampling: { ...inputs.config.saes[0]!.resampling, steps: [] }, ...more }),
};

beforeAll(async () => {
  inputs = await TinyInputs.make();
  store = inputs.store;
});
afterAll(() => inputs.remove());

describe('onDivergence: fail', () => {
  it('the transformer stops with step, parameter and documents, and its last good checkpoint loads', async () => {
    const spec = tooFast.transformer();
    const error = await failureOf(store, spec);
    expect(error.message).toMatch(/^transformer training diverged at step \d+: loss \S+, gradient norm (Infinity|NaN), gradient of transformer\.\S+.* \(learning rate \d/);
    expect(error.message).toMatch(/It read 16 sequences of \d+ documents, the first document "\w+" \(corpus\.jsonl:\d+\)/);
    const { step, batch } = await recordOf(spec);
    expect(error.message).toContain(`at step ${step}:`);
    const { checkpointEverySteps } = inputs.config.transformer.training;
    const kept = Math.floor(step / checkpointEverySteps) * checkpointEverySteps;
    expect(kept).toBeGreaterThan(0);
    expect(error.remedy).toContain(`The checkpoint of step ${kept} is good and is kept. Lower transformer.training.learningRate`);
    await expectGoodCheckpoint(spec, kept);
    expect(batch).toHaveLength(16);
    expect(batch[0]).toMatchObject({ microBatch: 0, row: 0, documents: [expect.stringMatching(/^document "\w+" \(corpus\.jsonl:\d+\)$/)] });
  });

  it('the transformer names the first token whose loss is not finite', async () => {
    const error = await failureOf(store, inputs.transformer({ learningRate: 1e9, minLearningRate: 1e9, warmupSteps: 0 }));
    expect(error.message).toMatch(/diverged at step \d: loss NaN, gradient norm NaN, gradient of \S+ and \d+ others/);
    expect(error.message).toMatch(/the first token whose loss is not finite is of document "\w+" \(corpus\.jsonl:\d+\)/);
  });

  it('an SAE stops with step, parameter, shards and documents, and its last good checkpoint loads', async () => {
    const spec = inputs.sae({ learningRate: 1e15 });
    const error = await failureOf(store, spec);
    expect(error.message).toMatch(/^SAE training diverged at step 1: loss (Infinity|NaN), gradient of [Wb]_\w+ \(learning rate 1000000000000000\)/);
    expect(error.message).toMatch(/It read batch 1 of the shuffled reader: 128 vectors of \d+ documents in shards\/0000\d\.parquet, shards\/0000\d\.parquet/);
    await expectGoodCheckpoint(spec, 0);
    const { batch } = await recordOf(spec);
    expect(batch).toHaveLength(128);
    expect(batch[0]).toMatchObject({ shard: expect.stringMatching(/^shards\/0000\d\.parquet$/), document: expect.stringMatching(/^document "\w+" \(corpus\.jsonl:\d+\)$/) });
  });

  it("an SAE's moment that overflows while the loss is finite is found at the next checkpoint, which is not kept", async () => {
    const spec = tooFast.sae();
    const error = await failureOf(store, spec);
    expect(error.message).toMatch(/^SAE training diverged at step 4: Adam's second moment of W_\w+ is not finite after the step/);
    await expectGoodCheckpoint(spec, 0);
  });

  it('as an activity it is not retried', async () => {
    const spec = tooFast.transformer();
    await writeSpec(store, idOf(spec), spec);
    const compute = new ComputePool({ slots: 1, entry: resolve(import.meta.dirname, '../../workers/compute.ts'), onLine: () => undefined });
    try {
      const environment = new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') });
      const activities = createGpuActivities({ store, compute, machine: { codeVersion: 'test', machine: 'here' }, cwd: inputs.folder });
      const failed = environment.run(activities.trainTransformerSegment, { artifact: idOf(spec), toStep: 40 });
      await expect(failed).rejects.toMatchObject({ name: 'ApplicationFailure', type: 'UserError', nonRetryable: true, message: expect.stringMatching(/diverged at step \d+.*onDivergence/) });
    } finally {
      await compute.close();
    }
  });
});

describe('onDivergence: halveLearningRate', () => {
  const onDivergence = 'halveLearningRate';
  const cases: [string, () => StageSpec][] = [
    ['a transformer past its first milestone', () => tooFast.transformer({ onDivergence })],
    ['a transformer at its first milestone', () => tooFast.transformer({ learningRate: 1_000, minLearningRate: 100, onDivergence })],
    ['an SAE', () => tooFast.sae({ onDivergence })],
  ];

  it.each(cases)('%s goes back, halves the rate and completes; the record and the curve show it', async (_, specOf) => {
    const spec = specOf();
    const { artifact } = await runStage(store, spec);
    const divergences = await rowsOf(store, artifact, 'divergences.jsonl', divergence);
    expect(divergences.length).toBeGreaterThan(0);
    const { milestones } = await planStage(store, spec);
    for (const [index, { step, rolledBackTo, learningRateScale }] of divergences.entries()) {
      expect([0, ...milestones]).toContain(rolledBackTo);
      expect(rolledBackTo).toBeLessThanOrEqual(step);
      expect(learningRateScale).toBe(learningRateScaleAt(divergences.slice(0, index + 1), rolledBackTo));
    }
    const curve = await rowsOf(store, artifact, 'metrics.jsonl', z.looseObject({ step: z.int(), learningRate: z.number() }));
    for (const { step, learningRate } of curve) {
      const configured = spec.stage === 'trainTransformer' ? learningRateAt(step - 1, spec.config.training) : tooFastSae;
      const halvings = divergences.filter(({ rolledBackTo }) => rolledBackTo < step).length;
      expect(learningRate / configured).toBeCloseTo(0.5 ** halvings, 12);
    }
  });

  it.each(cases)('%s ends with the same bytes when stopped at random steps', async (name, specOf) => {
    const spec = specOf();
    const whole = await runStage(store, spec);
    const stream = new RandomStream(1, 'stops', name);
    const other = await inputs.copy(`stopped-${whole.artifact.key}`);
    let stops = 0;
    for (const job of await jobsOf(other, spec)) {
      stops += await untilDone(async () => {
        const patience = 1 + stream.integer(9);
        let asked = 0;
        await runJob(job, { store: other, device: 'cpu', report: () => undefined, shouldStop: () => ++asked === patience });
      }, StoppedError);
    }
    expect(stops).toBeGreaterThan(3);
    expect((await runStage(other, spec)).artifact.contentSha256).toBe(whole.artifact.contentSha256);
  });

  it.each(cases)('%s ends with the same bytes when killed between any two writes of a checkpoint or of the way back', async (name, specOf) => {
    const spec = specOf();
    const whole = await runStage(store, spec);
    const stream = new RandomStream(3, 'kills', name);
    const other = await inputs.copy(`killed-${whole.artifact.key}`);
    let kills = 0;
    for (const job of await jobsOf(other, spec)) {
      kills += await untilDone(async () => {
        const writes = 1 + stream.integer(14);
        await runJob(job, { store: dyingAfter(other, writes), device: 'cpu', report: () => undefined, shouldStop: () => false });
      }, Killed);
    }
    expect(kills).toBeGreaterThan(3);
    expect((await runStage(other, spec)).artifact.contentSha256).toBe(whole.artifact.contentSha256);
  });

  it('fails after ten halvings', async () => {
    const error = await failureOf(store, inputs.sae({ learningRate: 1e15, onDivergence }));
    expect(error.message).toMatch(/^SAE training diverged at step 1: .*, after the learning rate was halved 10 times/);
  });

  it('fails where the initial weights are beyond help', async () => {
    const error = await failureOf(store, inputs.sae({ l1Coefficient: 1e39, onDivergence }));
    expect(error.message).toMatch(/^SAE training diverged at step 0: loss .*, with the initial weights/);
  });

  it('goes back to the last milestone before the last update: from one whose own weights are spoilt, to the one before', async () => {
    const training = { id: idOf(tooFast.sae()), what: 'SAE', configPath: 'saes[]', onDivergence, milestones: [20, 40] } as const;
    const backFrom = async (step: number, afterUpdate: boolean) => (await divergencesWith({ ...training, state: { divergences: [] } }, { step, afterUpdate, cause: 'loss NaN' }, { summary: '', items: [] }, 0, { store } as JobContext)).at(-1)!.rolledBackTo;
    expect([await backFrom(39, false), await backFrom(39, true), await backFrom(40, true), await backFrom(40, false), await backFrom(20, false), await backFrom(0, true)]).toEqual([20, 20, 40, 20, 0, 0]);
  });

  it('counts a halving from its milestone on, and keeps the last two milestones', () => {
    const at = (rolledBackTo: number): Divergence => ({ step: rolledBackTo + 3, cause: '', rolledBackTo, learningRateScale: 1 });
    expect([0, 19, 20, 39, 40].map((step) => learningRateScaleAt([at(20), at(20), at(40), at(0)], step))).toEqual([1 / 2, 1 / 2, 1 / 8, 1 / 8, 1 / 16]);
    expect([5, 20, 39, 60].map((step) => pinnedSteps({ onDivergence, milestones: [20, 40, 60] }, step))).toEqual([[0], [0, 20], [0, 20], [40, 60]]);
    expect(pinnedSteps({ onDivergence: 'fail', milestones: [20] }, 25)).toEqual([]);
  });
});

async function expectGoodCheckpoint(spec: StageSpec, step: number): Promise<void> {
  const checkpoint = await latestCheckpoint(store, idOf(spec), z.looseObject({}));
  expect(checkpoint?.step).toBe(step);
  for (const { data } of Object.values(checkpoint!.tensors)) expect((data as Float32Array).every(Number.isFinite)).toBe(true);
}

async function recordOf(spec: StageSpec): Promise<{ step: number; batch: unknown[] }> {
  return JSON.parse(Buffer.from(await store.get(artifactPath(idOf(spec), 'work/divergence.json'))).toString()) as { step: number; batch: unknown[] };
}

async function jobsOf(where: ArtifactStore, spec: StageSpec): Promise<Job[]> {
  await writeSpec(where, idOf(spec), spec);
  const { milestones, resamplings } = await planStage(where, spec);
  const common = { artifact: idOf(spec), storeUri: where.uri };
  if (spec.stage === 'trainTransformer') return milestones.map((toStep) => ({ kind: 'trainTransformerSegment', ...common, toStep }));
  const segments = milestones.flatMap((toStep): Job[] => {
    const segment: Job = { kind: 'trainSaeSegment', ...common, toStep };
    return resamplings.includes(toStep) ? [segment, { kind: 'resampleSae', ...common, step: toStep }] : [segment];
  });
  return [{ kind: 'initialiseSae', ...common }, ...segments];
}

/** How often `attempt` failed with the expected error before it succeeded. */
async function untilDone(attempt: () => Promise<void>, expected: new () => Error): Promise<number> {
  for (let failures = 0; ; failures++) {
    try {
      await attempt();
      return failures;
    } catch (error) {
      if (!(error instanceof expected)) throw error;
    }
  }
}

class Killed extends Error {}

/** The store as a process sees it that is killed before its write or deletion number `writes`. */
function dyingAfter(real: ArtifactStore, writes: number): ArtifactStore {
  let left = writes;
  return new Proxy(real, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== 'function') return member;
      const changes = ['put', 'putIfAbsent', 'delete', 'deletePrefix'].includes(String(name));
      return async (...args: unknown[]) => {
        if (changes && --left <= 0) throw new Killed();
        return (member as (...args: unknown[]) => Promise<unknown>).apply(target, args);
      };
    },
  });
}
