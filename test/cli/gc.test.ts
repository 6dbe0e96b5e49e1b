// `saeflow gc` as a person uses it: first a list, then the deletion; beside a server that says what is being made.
import { existsSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { specKey, writeManifest } from '../../data/artifact.ts';
import { openStore } from '../../data/artifactStore.ts';
import { taskQueues } from '../../schemas/progress.ts';
import type { ArtifactId, StageSpec } from '../../schemas/stages.ts';
import { freshSpec, until } from '../workflows/fixtures.ts';
import { startTemporal } from '../workflows/temporalEnvironment.ts';
import { runCli } from './runCli.ts';

const folder = mkdtempSync(join(tmpdir(), 'saeflow-gc-'));
const storeFolder = join(folder, 'store');
const store = openStore(storeFolder);
let environment: TestWorkflowEnvironment;

beforeAll(async () => {
  environment = await startTemporal();
}, 600_000);
afterAll(async () => {
  await environment?.teardown();
  rmSync(folder, { recursive: true, force: true });
});

const gc = (args: string[], server: boolean) => runCli(folder, ['gc', '--store', storeFolder, ...args], server ? { TEMPORAL_ADDRESS: environment.address } : {});
const idOf = (spec: StageSpec): ArtifactId => ({ stage: spec.stage, key: specKey(spec) });

function place({ stage, key }: ArtifactId, path: string, ageHours: number): string {
  const full = join(storeFolder, stage, key, path);
  mkdirSync(dirname(full), { recursive: true });
  writeFileSync(full, 'x'.repeat(1_000));
  const then = new Date(Date.now() - ageHours * 3_600_000);
  utimesSync(full, then, then);
  return full;
}

describe('saeflow gc', () => {
  it('lists by kind with bytes and reason, deletes when told to, and leaves alone what a workflow is making', async () => {
    const finished = idOf(freshSpec('tokenize'));
    const kept = place(finished, 'shards/00000.bin', 48);
    const file = { path: 'shards/00000.bin', ...(await store.put(`tokenize/${finished.key}/shards/00000.bin`, Buffer.from('tokens'))) };
    const common = { stageVersion: 1, config: {}, inputs: {}, shards: { total: 1, skipped: [] }, metrics: {} };
    await writeManifest(store, { ...finished, ...common, files: [file], provenance: { codeVersion: 'test', machine: 'test', device: 'cpu', backend: 'none', threads: 1, node: process.version, createdAt: new Date(0).toISOString(), seconds: 0, gpuSeconds: 0 } });
    const old = [place(finished, 'work/computer.json', 48), place(finished, 'shards/.tmp-77-ab', 48), place(finished, 'stray.bin', 48)];
    const young = place(finished, 'shards/.tmp-78-cd', 0.1);

    // A person started this one from the form, under a name of their own; no worker is there.
    const spec = freshSpec('trainTransformer');
    const making = place(idOf(spec), 'work/.tmp-79-ef', 48);
    const handle = await environment.client.workflow.start(spec.stage, { workflowId: 'my own name', taskQueue: taskQueues.workflows, args: [{ spec }] });
    // And this one makes shards of activations while SAEs read them.
    const sampling = freshSpec('sampleActivations');
    const supplying = place(idOf(sampling), 'shards/.tmp-80-ab', 48);
    const supply = await environment.client.workflow.start('supplyActivations', { workflowId: 'supply', taskQueue: taskQueues.workflows, args: [{ stage: { spec: sampling } }] });
    await until(async () => (await environment.client.workflow.count("ExecutionStatus = 'Running'")).count === 2);

    const unknown = await gc([], false);
    expect(unknown.stdout).toContain('within 1 d stays; no Temporal server answers');
    const listed = await gc([], true);
    expect(listed.exitCode, listed.stderr).toBe(0);
    expect(listed.stdout).toContain('within 1 h stays; 2 stages are being made');
    expect(listed.stdout).toMatch(/1 file, 1\.0 kB, writes that never ended: their writers died:\n {2}tokenize\/\w+\/shards\/\.tmp-77-ab/);
    expect(listed.stdout).toMatch(/work\/ of finished artifacts/);
    expect(listed.stdout).toContain('would delete 3 files, 3.0 kB');
    for (const path of [...old, young, making, supplying, kept]) expect(existsSync(path), path).toBe(true);

    const deleted = await gc(['--delete'], true);
    expect(deleted.stdout).toContain('deleted 3 files, 3.0 kB');
    for (const path of old) expect(existsSync(path), path).toBe(false);
    for (const path of [young, making, supplying, kept]) expect(existsSync(path), path).toBe(true);

    await handle.terminate();
    await supply.terminate();
    await until(async () => (await environment.client.workflow.count("ExecutionStatus = 'Running'")).count === 0);
    expect((await gc(['--delete', '--older-than', '0s'], true)).stdout).toContain('deleted 3 files');
    expect((await gc([], true)).stdout).toContain('nothing to delete');
    expect(await store.get(`tokenize/${finished.key}/shards/00000.bin`)).toEqual(new Uint8Array(Buffer.from('tokens')));
  });

  it.each([
    [['--delete', '--dry-run'], 'contradict each other'],
    [['--older-than', 'yesterday'], '30m, 1h or 7d'],
  ])('refuses %j', async (args, message) => {
    const { exitCode, stderr } = await gc(args, false);
    expect(exitCode).toBe(1);
    expect(stderr).toContain(message);
  });
});
