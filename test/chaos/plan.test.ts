import { describe, expect, it } from 'vitest';
import { longStages, planStrikes, victims } from '../../chaos/plan.ts';
import { stageNames } from '../../schemas/stages.ts';

const options = { seed: 1, runs: 2, kills: 20, victims };

describe('planStrikes', () => {
  it('is a function of the seed', () => {
    expect(planStrikes(options)).toEqual(planStrikes(options));
    expect(planStrikes({ ...options, seed: 2 })).not.toEqual(planStrikes(options));
  });

  it.each([1, 2, 3, 4, 5])('seed %i: kills compute process, GPU worker and server in every long stage, and every other victim at least once', (seed) => {
    const plans = planStrikes({ ...options, seed });
    const hit = plans.flatMap(({ strikes }) => strikes.map(({ victim, stage }) => `${victim} ${stage}`));
    expect(hit).toHaveLength(20);
    for (const stage of longStages) for (const victim of ['compute', 'gpuWorker', 'temporal']) expect(hit).toContain(`${victim} ${stage}`);
    for (const victim of victims) expect(hit.some((name) => name.startsWith(`${victim} `))).toBe(true);
  });

  it('strikes S3 servers only where the store is on S3, fills the disk only where it is a folder, and in the order of the stages', () => {
    const plans = planStrikes({ ...options, runs: 10, kills: 200 });
    expect(plans.map(({ store }) => store)).toEqual(Array.from({ length: 10 }, (_, run) => (run % 2 === 0 ? 'folder' : 's3')));
    expect(plans.flatMap(({ strikes }) => strikes)).toHaveLength(200);
    for (const { store, strikes } of plans) {
      expect(strikes.length).toBeGreaterThan(15);
      expect(strikes.some(({ victim }) => victim === (store === 's3' ? 'disk' : 's3'))).toBe(false);
      const order = strikes.map(({ stage, share }) => stageNames.indexOf(stage) + share);
      expect(order).toEqual([...order].sort((a, b) => a - b));
    }
  });

  it('keeps to the victims that are asked for', () => {
    const plans = planStrikes({ ...options, runs: 1, kills: 50, victims: ['s3'] });
    expect(plans).toHaveLength(1);
    expect(plans[0]!.store).toBe('s3');
    expect(new Set(plans[0]!.strikes.map(({ victim }) => victim))).toEqual(new Set(['s3']));
  });
});
