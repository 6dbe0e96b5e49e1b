// The figures of a run of chaos: as tables for a person, as one object for the last line.
import { alignTable } from '../schemas/format.ts';
import { stageNames } from '../schemas/stages.ts';
import type { ChaosResult } from './chaos.ts';
import type { Kill } from './brokenRun.ts';
import { victims, type Victim } from './plan.ts';

export interface ChaosSummary {
  seed: number;
  runs: number;
  kills: number;
  missed: number;
  killsByVictim: Partial<Record<Victim, number>>;
  recoverySeconds: { median: number; max: number };
  hashesEqual: boolean;
  damaged: number;
  duplicates: number;
  inFlight: number;
  strays: { before: number; after: number };
  seconds: number;
  unbrokenSeconds: number;
  /** Hashes equal, nothing damaged, computed twice or left over. */
  ok: boolean;
}

export function summarize({ seed, unbrokenSeconds, runs }: ChaosResult): ChaosSummary {
  const kills = runs.flatMap((run) => run.kills);
  const sum = (number: (run: ChaosResult['runs'][number]) => number) => runs.reduce((total, run) => total + number(run), 0);
  const hashesEqual = runs.every((run) => run.hashesEqual);
  const counts = { damaged: sum(({ damaged }) => damaged.length), duplicates: sum(({ ledger }) => ledger.duplicates.length) };
  const strays = { before: sum(({ strays: { before } }) => before), after: sum(({ strays: { after } }) => after) };
  return {
    seed,
    runs: runs.length,
    kills: kills.length,
    missed: sum(({ missed }) => missed),
    killsByVictim: Object.fromEntries(victims.map((victim) => [victim, kills.filter((kill) => kill.victim === victim).length]).filter(([, count]) => count !== 0)) as ChaosSummary['killsByVictim'],
    recoverySeconds: recovery(kills),
    hashesEqual,
    ...counts,
    inFlight: sum(({ ledger }) => ledger.inFlight),
    strays,
    seconds: Math.round(sum(({ seconds }) => seconds)),
    unbrokenSeconds: Math.round(unbrokenSeconds),
    ok: hashesEqual && counts.damaged === 0 && counts.duplicates === 0 && strays.after === 0,
  };
}

/** Kills by victim and stage with recovery times, then a row for each run. */
export function tables({ runs }: ChaosResult): string[] {
  const kills = runs.flatMap((run) => run.kills);
  const hit = victims.filter((victim) => kills.some((kill) => kill.victim === victim));
  const byVictim = hit.map((victim) => {
    const own = kills.filter((kill) => kill.victim === victim);
    const { median, max } = recovery(own);
    return [victim, ...stageNames.map((stage) => String(own.filter((kill) => kill.stage === stage).length)), String(own.length), seconds(median), seconds(max)];
  });
  const byRun = runs.map(({ store, kills: own, missed, seconds: took, hashesEqual, damaged, ledger, strays }, index) => [
    `${index + 1} ${store}`,
    String(own.length),
    String(missed),
    seconds(took),
    hashesEqual ? 'equal' : 'DIFFERENT',
    String(damaged.length),
    String(ledger.shards),
    String(ledger.duplicates.length),
    String(ledger.inFlight),
    String(strays.before),
    String(strays.after),
  ]);
  const right = Array.from({ length: 11 }, (_, column) => column).slice(1);
  return [
    ...alignTable([['killed in', ...stageNames, 'all', 'recovery: median', 'max'], ...byVictim], right),
    '',
    ...alignTable([['run', 'kills', 'missed', 'took', 'hashes', 'damaged', 'shards', 'computed again', 'twice in flight', 'strays', 'after gc'], ...byRun], right),
    ...runs.flatMap(({ damaged, ledger }) => [...damaged.map((path) => `damaged: ${path}`), ...ledger.duplicates.map((name) => `computed although it was there: ${name}`)]),
  ];
}

function recovery(kills: readonly Kill[]): { median: number; max: number } {
  const sorted = kills.flatMap(({ recoverySeconds }) => recoverySeconds ?? []).sort((a, b) => a - b);
  const rounded = (value: number | undefined) => Math.round(10 * (value ?? 0)) / 10;
  return { median: rounded(sorted[sorted.length >> 1]), max: rounded(sorted.at(-1)) };
}

function seconds(value: number): string {
  return `${value.toFixed(1)} s`;
}
