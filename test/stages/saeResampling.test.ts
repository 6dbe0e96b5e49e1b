// Resampling as a run does it, from activation shards and a checkpoint to the record and the next checkpoint: against one
// worked out in plain Python, and a dead window that no checkpoint, restart or shard boundary may change.
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { artifactPath, specKey, writeSpec } from '../../data/artifact.ts';
import { openStore, type ArtifactStore } from '../../data/artifactStore.ts';
import { latestCheckpoint, saveCheckpoint } from '../../data/checkpoint.ts';
import { saeConfig } from '../../schemas/config.ts';
import type { Job } from '../../schemas/jobs.ts';
import type { ArtifactId, SpecOf } from '../../schemas/stages.ts';
import { StoppedError } from '../../stages/context.ts';
import { runJob } from '../../stages/jobs.ts';
import { resamplingPath } from '../../stages/saeResampling.ts';
import { openSetting, saeState, zeroSums } from '../../stages/saeTraining.ts';
import { loadBackend } from '../../workers/tensorflow.ts';
import { putActivations } from './finishedArtifacts.ts';

let folder: string;
beforeAll(async () => {
  await loadBackend({});
  folder = await mkdtemp(join(tmpdir(), 'saeflow-resampling-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const parameterNames = ['W_enc', 'b_enc', 'W_dec', 'b_dec'] as const;
type Arrays = Record<(typeof parameterNames)[number], number[]>;

interface State {
  param: Arrays;
  m: Arrays;
  v: Arrays;
  lastFired: number[];
}

/** A checkpoint of `step` as an earlier segment would have left it. */
async function writeCheckpoint(store: ArtifactStore, id: ArtifactId, step: number, d: number, { lastFired, ...state }: State, scale: number): Promise<void> {
  const features = lastFired.length;
  const shapes = { W_enc: [d, features], b_enc: [features], W_dec: [features, d], b_dec: [d] };
  const tensors = Object.fromEntries(Object.entries(state).flatMap(([prefix, arrays]) => parameterNames.map((name) => [`${prefix}.${name}`, { shape: shapes[name], data: Float32Array.from(arrays[name]) }])));
  const rest = { lastFired: { shape: [features], data: Int32Array.from(lastFired) }, mean: { shape: [d], data: new Float32Array(d) } };
  await saveCheckpoint(store, id, step, { ...tensors, ...rest }, saeState.parse({ scale, medianIterations: 0, log: [], resamplings: [], divergences: [], sums: zeroSums, seconds: 0 }));
}

async function startSae(store: ArtifactStore, activations: ArtifactId, seed: number, sae: z.input<typeof saeConfig>): Promise<ArtifactId> {
  const spec: SpecOf<'trainSae'> = { stage: 'trainSae', config: { seed, sae: saeConfig.parse(sae) }, inputs: { sampleActivations: activations.key } };
  const id: ArtifactId = { stage: 'trainSae', key: specKey(spec) };
  await writeSpec(store, id, spec);
  return id;
}

async function run(store: ArtifactStore, job: Job): Promise<void> {
  await runJob(job, { store, device: 'cpu', report: () => undefined, shouldStop: () => false });
}

async function readRecord(store: ArtifactStore, id: ArtifactId, step: number): Promise<unknown> {
  return JSON.parse(Buffer.from(await store.get(artifactPath(id, resamplingPath(step)))).toString());
}

const matrix = z.array(z.array(z.number()));
const arrays = z.object({ W_enc: matrix, b_enc: z.array(z.number()), W_dec: matrix, b_dec: z.array(z.number()) });
const states = z.object({ param: arrays, 'adam.m': arrays, 'adam.v': arrays });
const replacement = z.object({ feature: z.int(), encoderNormBefore: z.number(), encoderNormAfter: z.number(), decoderNormBefore: z.number(), candidate: z.int(), batch: z.int(), row: z.int(), candidateLoss: z.number() });
const record = z.object({ step: z.int(), dead: z.array(z.int()), deadWindowSteps: z.int(), candidates: z.int(), lossBefore: z.number(), lossAfter: z.number(), replaced: z.array(replacement) });
const oracle = z
  .object({
    seed: z.int(),
    d: z.int(),
    features: z.int(),
    batchSize: z.int(),
    scale: z.number(),
    l1Coefficient: z.number(),
    step: z.int(),
    deadWindowSteps: z.int(),
    candidates: z.int(),
    encoderNormScale: z.number(),
    shards: z.array(matrix),
    lastFired: z.array(z.int()),
    before: states,
    cases: z.array(z.object({ convention: z.enum(['mean', 'sum']), direction: z.enum(['centred', 'raw']), record, after: states })),
  })
  .parse(JSON.parse(readFileSync(new URL('../oracle/resamplingRecord.json', import.meta.url), 'utf8')));

const flat = (state: z.infer<typeof states>) => {
  const one = ({ W_enc, b_enc, W_dec, b_dec }: z.infer<typeof arrays>): Arrays => ({ W_enc: W_enc.flat(), b_enc, W_dec: W_dec.flat(), b_dec });
  return { param: one(state.param), m: one(state['adam.m']), v: one(state['adam.v']) };
};

describe.each(oracle.cases)('a resampling from shards and a checkpoint (losses by $convention, direction $direction)', ({ convention, direction, record: expected, after }) => {
  it('writes the record worked by hand, and exactly the replaced parameters and their moments change', async () => {
    const { d, step, deadWindowSteps, candidates, encoderNormScale, batchSize, features, l1Coefficient } = oracle;
    const store = openStore(join(folder, `record-${convention}`));
    const activations = await putActivations(store, oracle.shards.map((rows) => Float32Array.from(rows.flat())), d);
    const resampling = { steps: [step], deadWindowSteps, candidates, direction, encoderNormScale };
    const id = await startSae(store, activations, oracle.seed, { features, batchSize, l1Coefficient, lossConvention: convention, mixShards: 1, resampling });
    await writeCheckpoint(store, id, step, d, { ...flat(oracle.before), lastFired: oracle.lastFired }, oracle.scale);

    await run(store, { kind: 'resampleSae', artifact: id, storeUri: store.uri, step });

    const written = record.strict().parse(await readRecord(store, id, step));
    const { lossAfter, replaced, ...exact } = written;
    expect(exact).toEqual({ step, dead: expected.dead, deadWindowSteps, candidates: expected.candidates, lossBefore: expect.closeTo(expected.lossBefore, 6) as number });
    expect(lossAfter).toBeCloseTo(expected.lossAfter, 5);
    expect(replaced.map(({ feature, candidate, batch, row }) => ({ feature, candidate, batch, row }))).toEqual(expected.replaced.map(({ feature, candidate, batch, row }) => ({ feature, candidate, batch, row })));
    replaced.forEach((one, index) => {
      for (const name of ['encoderNormBefore', 'encoderNormAfter', 'decoderNormBefore', 'candidateLoss'] as const) expect(one[name], name).toBeCloseTo(expected.replaced[index]![name], 5);
    });

    const checkpoint = (await latestCheckpoint(store, id, saeState))!;
    const [before, wanted] = [flat(oracle.before), flat(after)];
    for (const part of ['param', 'm', 'v'] as const) {
      for (const name of parameterNames) {
        const values = checkpoint.tensors[`${part}.${name}`]!.data as Float32Array;
        values.forEach((value, index) => {
          const [was, should] = [before[part][name][index]!, wanted[part][name][index]!];
          // What was not replaced, and every moment, is the very same number; a new direction is right to float32.
          if (should === was || part !== 'param') expect(value, `${part}.${name}[${index}]`).toBe(Math.fround(should));
          else expect(value, `${part}.${name}[${index}]`).toBeCloseTo(should, 6);
        });
      }
    }
    expect(checkpoint.step).toBe(step);
    expect(checkpoint.state.resamplings).toEqual([{ step, dead: expected.dead.length, resampled: replaced.length, metrics: { lossBefore: written.lossBefore, lossAfter, candidates: expected.candidates } }]);
  });
});

it('leaves out vectors that give no direction, and training goes on', async () => {
  const d = 4;
  const [step, features, batchSize] = [4, 6, 4];
  const b_dec = [0.5, -0.25, 0, 1];
  // x = b_dec has no loss, so that all that could be drawn is 0, but for a few
  const other = [1, 1, 0, 0];
  const rows = Array.from({ length: 40 }, (_, row) => (row % 8 === 7 ? other : row % 2 === 0 ? [0, 0, 0, 0] : b_dec));
  const store = openStore(join(folder, 'no-direction'));
  const activations = await putActivations(store, [Float32Array.from(rows.flat())], d);
  const resampling = { steps: [step], deadWindowSteps: 3, candidates: 40, direction: 'raw' as const };
  const id = await startSae(store, activations, 1, { features, batchSize, mixShards: 1, learningRate: 1e-6, segmentSteps: 10, resampling });
  const zeros: Arrays = { W_enc: new Array<number>(d * features).fill(0), b_enc: new Array<number>(features).fill(0), W_dec: new Array<number>(features * d).fill(0), b_dec: new Array<number>(d).fill(0) };
  const param = { ...zeros, b_enc: new Array<number>(features).fill(-9), W_dec: Array.from({ length: features }, () => [1, 0, 0, 0]).flat(), b_dec };
  await writeCheckpoint(store, id, step, d, { param, m: zeros, v: zeros, lastFired: new Array<number>(features).fill(-1) }, 1);

  await run(store, { kind: 'resampleSae', artifact: id, storeUri: store.uri, step });
  const { replaced } = record.parse(await readRecord(store, id, step));
  expect(replaced.length).toBe(5);
  for (const { candidateLoss } of replaced) expect(candidateLoss).toBeCloseTo((0.25 + 1.5625 + 1) / d, 6);
  await run(store, { kind: 'trainSaeSegment', artifact: id, storeUri: store.uri, toStep: 10 });
});

describe('a dead window across a checkpoint, a restart and a shard boundary', () => {
  // Each vector is a unit direction and feature j fires on direction j only, so the data say who fired when. Shards have
  // 22 rows, batches 4: the shard changes inside step 5 and at step 11. Steps 8 to 14 are the window.
  const d = 8;
  const [at, window] = [15, 7];
  const milestones = [6, 12, at];
  const sae = { features: d, batchSize: 4, mixShards: 1, learningRate: 1e-12, checkpointEverySteps: 4, segmentSteps: 6, resampling: { steps: [at], deadWindowSteps: window, candidates: 8 } };
  const directionOf = (shard: number, row: number) => (row === 0 ? 4 : row === 1 && shard === 0 ? 5 : shard);

  async function prepare(name: string): Promise<{ store: ArtifactStore; id: ArtifactId }> {
    const store = openStore(join(folder, name));
    const shards = Array.from({ length: 4 }, (_, shard) => {
      const x = new Float32Array(22 * d);
      for (let row = 0; row < 22; row++) x[row * d + directionOf(shard, row)] = 1;
      return x;
    });
    const id = await startSae(store, await putActivations(store, shards, d), 3, sae);
    const zeros: Arrays = { W_enc: new Array<number>(d * d).fill(0), b_enc: new Array<number>(d).fill(0), W_dec: new Array<number>(d * d).fill(0), b_dec: new Array<number>(d).fill(0) };
    const identity = zeros.W_enc.map((_, index) => (index % (d + 1) === 0 ? 1 : 0));
    const param = { ...zeros, W_enc: identity, W_dec: identity, b_enc: new Array<number>(d).fill(-0.5) };
    await writeCheckpoint(store, id, 0, d, { param, m: zeros, v: zeros, lastFired: new Array<number>(d).fill(-1) }, 1);
    return { store, id };
  }

  const jobs = (store: ArtifactStore, id: ArtifactId): Job[] => [
    ...milestones.map((toStep): Job => ({ kind: 'trainSaeSegment', artifact: id, storeUri: store.uri, toStep })),
    { kind: 'resampleSae', artifact: id, storeUri: store.uri, step: at },
  ];

  /** Last step before the resampling on which each feature fired, from the vectors themselves. */
  async function lastFirings(store: ArtifactStore, id: ArtifactId): Promise<number[]> {
    const { reader } = await openSetting(id, { store, device: 'cpu', report: () => undefined, shouldStop: () => false });
    const last = new Array<number>(d).fill(-1);
    for (let step = 0; step < at; step++) (await reader.read(step)).forEach((value, index) => value === 1 && (last[index % d] = step));
    return last;
  }

  it('finds the features that were silent in it, by the data', async () => {
    const { store, id } = await prepare('window-unbroken');
    for (const job of jobs(store, id)) await run(store, job);
    const last = await lastFirings(store, id);
    const { dead } = record.parse(await readRecord(store, id, at));
    expect(dead).toEqual([...last.keys()].filter((feature) => last[feature]! < at - window));
    // The case is a real one: some never fired, some fired before the window only, some in it but before each boundary.
    expect(last).toContain(-1);
    expect(last.some((step) => step >= 0 && step < at - window)).toBe(true);
    expect(last.some((step) => step >= at - window && step < 11)).toBe(true);
    expect(last.some((step) => step >= 11)).toBe(true);
  });

  it.each([
    { how: 'stopped, with a checkpoint', stops: [8, 9, 11, 13], crash: false },
    { how: 'killed, back to the checkpoint before', stops: [9, 11, 14], crash: true },
  ])('is the same for a run that was $how', async ({ stops, crash }) => {
    const unbroken = await prepare(`window-compared-${String(crash)}`);
    for (const job of jobs(unbroken.store, unbroken.id)) await run(unbroken.store, job);
    const { store, id } = await prepare(`window-broken-${String(crash)}`);
    let interruptions = 0;
    for (const [index, job] of jobs(store, id).entries()) {
      const [from, to] = [milestones[index - 1] ?? 0, milestones[index] ?? 0];
      for (const step of stops.filter((stop) => stop > from && stop < to)) interruptions += await interruptAt(store, job, step, crash);
      await run(store, job);
    }
    expect(interruptions).toBe(stops.length);
    expect(await readRecord(store, id, at)).toEqual(await readRecord(unbroken.store, unbroken.id, at));
  });

  /** 1 when the job reached `step` and ended there. */
  async function interruptAt(store: ArtifactStore, job: Job, step: number, crash: boolean): Promise<number> {
    let done = 0;
    const report = (progress: { done: number }) => {
      done = progress.done;
      if (crash && done === step) throw new Error('killed');
    };
    try {
      await runJob(job, { store, device: 'cpu', report, shouldStop: () => !crash && done === step });
      return 0;
    } catch (error) {
      if (error instanceof StoppedError || (crash && (error as Error).message === 'killed')) return 1;
      throw error;
    }
  }
});
