// The activities of the cpu queue on a real store and a real compute process: found, made once, committed once.
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createCpuActivities, type CpuActivities } from '../../activities/cpu.ts';
import type { ActivityDeps } from '../../activities/deps.ts';
import { openStore } from '../../data/artifactStore.ts';
import { resolveInput } from '../../presets/resolve.ts';
import type { PipelineConfig } from '../../schemas/config.ts';
import type { StageSpec } from '../../schemas/stages.ts';
import { ComputePool } from '../../workers/computePool.ts';
import { describeMachine } from '../../workers/machine.ts';
import { tokenizeSpec } from '../../workflows/specs.ts';
import { writeSmallCorpus } from '../workers/smallCorpus.ts';

const quiet = { logger: new DefaultLogger('ERROR') };
const scratch = mkdtempSync(join(tmpdir(), 'saeflow-activities-'));
const compute = new ComputePool({ slots: 1, threads: 1 });
const storeFolder = join(scratch, 'store');
let corpus: string;
let config: PipelineConfig;

beforeAll(() => {
  corpus = writeSmallCorpus(scratch);
  config = resolveInput({ preset: 'tiny', corpus: { paths: [corpus] } });
});
afterAll(async () => {
  await compute.close();
  rmSync(scratch, { recursive: true, force: true });
});

function activitiesWith(change: Partial<ActivityDeps> = {}): CpuActivities {
  return createCpuActivities({ store: openStore(storeFolder), compute, machine: describeMachine(), cwd: scratch, ...change });
}

/** Calls an activity in an activity's context, without a server. */
function call<Input, Output>(activity: (input: Input) => Promise<Output>, input: Input): Promise<Output> {
  return new MockActivityEnvironment({}, quiet).run(activity, input);
}

describe('hashConfig', () => {
  it('is the same for runs that make the same things, however they are carried out', async () => {
    const { hashConfig } = activitiesWith();
    const hash = await hashConfig(config);
    expect(hash).toMatch(/^[0-9a-f]{64}$/);
    expect(await hashConfig({ ...config, name: 'other', execution: { ...config.execution, concurrency: 99 } })).toBe(hash);
    expect(await hashConfig({ ...config, seed: 2 })).not.toBe(hash);
    expect(await hashConfig({ ...config, corpus: { ...config.corpus, paths: ['elsewhere.txt'] } })).not.toBe(hash);
  });
});

describe('resolveCorpus', () => {
  it('keys a corpus by content: the same files in another folder are the same corpus, one changed byte is another', async () => {
    const moved = join(scratch, 'moved');
    mkdirSync(moved);
    cpSync(corpus, join(moved, basename(corpus)));
    const { resolveCorpus } = activitiesWith();
    const here = await call(resolveCorpus, config.corpus);
    const there = await call(activitiesWith({ cwd: moved }).resolveCorpus, { ...config.corpus, paths: ['*.jsonl'] });
    expect(there).toEqual(here);
    expect(here).toMatchObject({ files: 1, bytes: expect.any(Number) as number });
    expect(existsSync(join(storeFolder, 'corpus', `${here.key}.json`))).toBe(true);
  });

  it('fails for good, naming the pattern, when nothing matches', async () => {
    await expect(call(activitiesWith().resolveCorpus, { ...config.corpus, paths: ['nowhere/*.txt'] })).rejects.toMatchObject({
      name: 'ApplicationFailure',
      type: 'UserError',
      nonRetryable: true,
      message: expect.stringContaining('nowhere/*.txt') as string,
    });
  });
});

describe('a tokenize stage', () => {
  let spec: StageSpec;
  beforeAll(async () => {
    const { key } = await call(activitiesWith().resolveCorpus, config.corpus);
    spec = tokenizeSpec(config, key);
  });

  it('is planned, made shard by shard, committed once by two workers, and then found', async () => {
    const { planStage, tokenizeShard, commitStage } = activitiesWith();
    const plan = await call(planStage, spec);
    expect(plan).toMatchObject({ found: null, shards: 3, blocks: 0, milestones: [], resamplings: [] });
    const artifact = { stage: 'tokenize', key: plan.key } as const;
    await expect(call(commitStage, { artifact, shards: plan.shards, skippedShards: [] })).rejects.toMatchObject({ type: 'UserError' });

    for (let shard = 0; shard < plan.shards; shard++) {
      expect(await call(tokenizeShard, { artifact, shard })).toMatchObject({ shard, found: false, files: 4, device: 'cpu' });
    }
    // Nothing is computed twice: a worker without any compute process can answer.
    const idle = new ComputePool({ slots: 1, entry: '/no/such/module.ts' });
    expect(await call(activitiesWith({ compute: idle }).tokenizeShard, { artifact, shard: 1 })).toMatchObject({ shard: 1, found: true });

    const commit = { artifact, shards: plan.shards, skippedShards: [] };
    const [one, other] = await Promise.all([call(commitStage, commit), call(activitiesWith({ store: openStore(storeFolder) }).commitStage, commit)]);
    expect(other).toEqual(one);
    expect(one).toMatchObject({ stage: 'tokenize', key: plan.key, device: 'cpu', gpuSeconds: 0, metrics: { documents: 600 } });
    expect(readdirSync(join(storeFolder, 'tokenize', plan.key))).not.toContain('work');
    expect(await call(planStage, spec)).toMatchObject({ key: plan.key, found: one });
  });

  it('refuses malformed inputs for good', async () => {
    const wrong = { artifact: { stage: 'tokenize', key: 'short' }, shard: -1 } as const;
    await expect(call(activitiesWith().tokenizeShard, wrong)).rejects.toMatchObject({ type: 'InvalidInput', nonRetryable: true, message: expect.stringMatching(/artifact\.key: .*; shard: /) as string });
  });
});
