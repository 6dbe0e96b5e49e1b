// Which run is the one before: by name, not by configuration, and the last one published.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { openStore, type ArtifactStore } from '../../data/artifactStore.ts';
import { findPreviousRun } from '../../data/previousRun.ts';
import { reportPath } from '../../data/report.ts';
import type { Report } from '../../schemas/report.ts';

const folder = mkdtempSync(join(tmpdir(), 'saeflow-previous-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const hash = (digit: string) => digit.repeat(64);

function reportOf(run: string, digit: string, finishedAt?: string): Report {
  const loss = 1;
  const sae = { name: 'sae', hook: 'blocks.0.mlp.hook_post', features: 4, tokens: 10, pureFeatures: {}, probes: [], resamplings: [], divergences: [], l0: 1, l1: 1, mse: 1, fvu: 1, lossRecovered: 1, losses: { clean: loss, reconstructed: loss, zero: loss, mean: loss }, alive: 4, dead: 0, ultraLow: 0 };
  const stage = (name: 'trainSae' | 'exportDashboard', key: string) => ({ name, key: hash(key), cached: false, seconds: 1, device: 'cpu', bytes: 1, shards: 0, skippedShards: [] });
  return {
    run,
    configHash: hash(digit),
    ...(finishedAt === undefined ? {} : { workflowId: `saeflow/${run}`, finishedAt }),
    stages: [stage('trainSae', '1'), stage('trainSae', '2'), stage('exportDashboard', '3'), stage('exportDashboard', '4')],
    tokens: { train: 1, heldOut: 1 },
    transformer: { valLoss: loss, unigramLoss: loss, parameters: 1, divergences: [] },
    sae,
    saes: [sae, { ...sae, name: 'wide' }],
    coverage: { once: 1, moreThanOnce: 0, never: 0 },
    dashboards: [],
  };
}
const publish = (store: ArtifactStore, report: Report) => store.put(reportPath(report.run, report.configHash), Buffer.from(JSON.stringify(report)));

describe('findPreviousRun', () => {
  it('finds none in an empty store, nor one of another name that begins alike', async () => {
    const store = openStore(join(folder, 'names'));
    expect(await findPreviousRun(store, 'night')).toBeNull();
    await publish(store, reportOf('night-shift', 'a', '2026-11-20T03:00:00.000Z'));
    expect(await findPreviousRun(store, 'night')).toBeNull();
  });

  it('finds the last one published, whatever its configuration, with its SAEs and their dashboards', async () => {
    const store = openStore(join(folder, 'last'));
    await publish(store, reportOf('night', 'a', '2026-11-20T03:00:00.000Z'));
    await publish(store, reportOf('night', 'b', '2026-11-22T03:00:00.000Z'));
    await publish(store, reportOf('night', 'c'));
    await publish(store, reportOf('night', 'd', '2026-11-21T03:00:00.000Z'));
    expect(await findPreviousRun(store, 'night')).toEqual({
      configHash: hash('b'),
      workflowId: 'saeflow/night',
      finishedAt: '2026-11-22T03:00:00.000Z',
      stages: [['trainSae', '1'], ['trainSae', '2'], ['exportDashboard', '3'], ['exportDashboard', '4']].map(([stage, key]) => ({ stage, key: hash(key!) })),
      saes: [{ name: 'sae', dashboard: hash('3') }, { name: 'wide', dashboard: hash('4') }],
    });
  });

  it('takes a report of before they had dates when there is no other', async () => {
    const store = openStore(join(folder, 'old'));
    await publish(store, reportOf('night', 'c'));
    expect((await findPreviousRun(store, 'night'))?.configHash).toBe(hash('c'));
  });

  it('names a report that is damaged', async () => {
    const store = openStore(join(folder, 'damaged'));
    await store.put(reportPath('night', hash('a')), Buffer.from('{"run": "night"}'));
    await expect(findPreviousRun(store, 'night')).rejects.toThrow(/runs\/night-aaaaaaaaaaaa\/report\.json is malformed/);
  });
});
