// What a user must be able to say: "I killed anything at any time and got the same bits." Twenty kills in two runs, one on
// a folder that also fills up and one on S3: compute process, GPU worker and Temporal server die in the middle of every
// long stage, the others at least once. The long version of this is `npm run chaos -- --kills 200`.
import { expect, it } from 'vitest';
import { runChaos } from '../../chaos/chaos.ts';
import { longStages, victims } from '../../chaos/plan.ts';
import { summarize, tables } from '../../chaos/summary.ts';

const kills = 20;

it('twenty kills: the hashes of the unbroken run, nothing computed again, nothing left over', { timeout: 1_200_000 }, async () => {
  const said: string[] = [];
  const result = await runChaos({ seed: 10, runs: 2, kills, victims, keep: false, say: (line) => void said.push(line) });
  const about = [...said, ...tables(result)].join('\n');
  console.log(about);
  const summary = summarize(result);
  expect(summary, about).toMatchObject({ hashesEqual: true, damaged: 0, duplicates: 0, strays: { after: 0 } });

  // Each victim died in the middle of each stage. Recovery from a full disk can outlast the stage that the next strike is
  // meant for, which then falls into the stage after it; a disk can be filled only where one can be mounted.
  const hit = new Set(result.runs.flatMap((run) => run.kills.map(({ victim, stage }) => `${stage}: ${victim}`)));
  const meant = longStages.flatMap((stage) => ['compute', 'gpuWorker', 'temporal'].map((victim) => `${stage}: ${victim}`));
  expect(meant.filter((name) => !hit.has(name)).length, about).toBeLessThanOrEqual(2);
  const fillable = !said.some((line) => line.startsWith('the disk is not filled'));
  for (const victim of victims) if (victim !== 'disk' || fillable) expect(summary.killsByVictim[victim], victim).toBeGreaterThan(0);
  expect(summary.kills + summary.missed).toBe(kills);

  // Histories hold references, never data.
  for (const { ledger } of result.runs) {
    expect(ledger.workflows).toBeGreaterThanOrEqual(6);
    expect(ledger.shards).toBeGreaterThan(0);
    expect(ledger.longestHistory).toBeLessThan(10_000);
    expect(ledger.largestEvent).toBeLessThan(64 * 2 ** 10);
  }
});
