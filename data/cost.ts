// What a run cost: hours, bytes and, at given prices, money. What the run made itself is kept apart from what it found:
// that was paid for before.
import type { Manifest } from '../schemas/artifact.ts';
import type { StageName } from '../schemas/stages.ts';

/** Prices in one currency; a price that is not known leaves its part out of the sum. */
export interface Prices {
  /** A GPU for an hour. */
  gpuHour?: number;
  /** A processor core for an hour. */
  cpuHour?: number;
  /** 10¹² bytes kept for a month. */
  tbMonth?: number;
}

/** Sums over some artifacts. */
export interface Cost {
  artifacts: number;
  gpuHours: number;
  /** Of cores: hours without a GPU times the threads that computed. */
  cpuHours: number;
  bytesRead: number;
  bytesWritten: number;
  /** In the store now. */
  bytesStored: number;
  money: {
    /** Spent once on computing. */
    computing: number;
    /** Each month, as long as the artifacts are kept. */
    storagePerMonth: number;
  };
}

export interface StageCost extends Cost {
  stage: StageName;
  key: string;
  /** True where the run found it in the store. */
  found: boolean;
}

export interface RunCost {
  stages: StageCost[];
  made: Cost;
  found: Cost;
  prices: Prices;
}

/** The cost of a run's artifacts; one that serves several SAEs counts once. */
export function costOf(artifacts: readonly { manifest: Manifest; found: boolean }[], prices: Prices): RunCost {
  const stages = new Map<string, StageCost>();
  for (const { manifest, found } of artifacts) {
    const known = stages.get(manifest.key);
    // Made for the first SAE, it is found by the second.
    if (known === undefined || (known.found && !found)) stages.set(manifest.key, { stage: manifest.stage, key: manifest.key, found, ...costOfOne(manifest, prices) });
  }
  const all = [...stages.values()];
  return { stages: all, made: sum(all.filter(({ found }) => !found)), found: sum(all.filter(({ found }) => found)), prices };
}

function costOfOne({ bytes, provenance }: Manifest, { gpuHour = 0, cpuHour = 0, tbMonth = 0 }: Prices): Cost {
  const { seconds, gpuSeconds, threads, bytesRead = 0, bytesWritten = 0 } = provenance;
  const gpuHours = gpuSeconds / 3_600;
  const cpuHours = (Math.max(0, seconds - gpuSeconds) / 3_600) * threads;
  return { artifacts: 1, gpuHours, cpuHours, bytesRead, bytesWritten, bytesStored: bytes, money: { computing: gpuHours * gpuHour + cpuHours * cpuHour, storagePerMonth: (bytes / 1e12) * tbMonth } };
}

function sum(costs: readonly Cost[]): Cost {
  const add = (of: (cost: Cost) => number) => costs.reduce((total, cost) => total + of(cost), 0);
  return {
    artifacts: add(({ artifacts }) => artifacts),
    gpuHours: add(({ gpuHours }) => gpuHours),
    cpuHours: add(({ cpuHours }) => cpuHours),
    bytesRead: add(({ bytesRead }) => bytesRead),
    bytesWritten: add(({ bytesWritten }) => bytesWritten),
    bytesStored: add(({ bytesStored }) => bytesStored),
    money: { computing: add(({ money }) => money.computing), storagePerMonth: add(({ money }) => money.storagePerMonth) },
  };
}
