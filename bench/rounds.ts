// Measuring two or more sides fairly: all are warm, then each runs once in every round, in turn, so that whatever else
// the machine does meets them alike; the median of the rounds stands.
import type { Ran } from './protocol.ts';
import { Side, SideError, type SideCommand } from './side.ts';

export interface Measured {
  name: string;
  version: string;
  /** Median over the rounds of the time of one step. */
  ms: number;
  peakRssBytes: number;
  /** Values of every round, in order. */
  values: Record<string, number>[];
  note?: string;
}

export interface Rounds {
  rounds: number;
  /** Runs before the first that counts: libraries choose kernels, compilers compile. */
  warmups: number;
  /** Steps of one run. */
  steps: number;
}

/** The sides that ran, in the order given, and why others did not. */
export interface Alternated {
  measured: Measured[];
  failures: { name: string; reason: string }[];
}

/**
 * Opens all sides and runs them in turn. The first must run; another one that fails is left out, with its reason.
 *
 * @throws SideError when the first side fails.
 */
export async function alternate(commands: SideCommand[], { rounds, warmups, steps }: Rounds, log: (line: string) => void): Promise<Alternated> {
  const failures: Alternated['failures'] = [];
  const open: { side: Side; version: string; runs: Ran[] }[] = [];
  const drop = async (name: string, error: unknown) => {
    if (!(error instanceof SideError) || name === commands[0]!.name) throw error;
    failures.push({ name, reason: error.message });
    log(`${name} does not run: ${error.details}`);
  };
  try {
    for (const command of commands) {
      try {
        const { side, about } = await Side.open(command);
        open.push({ side, version: about.version, runs: [] });
      } catch (error) {
        await drop(command.name, error);
      }
    }
    for (let round = -warmups; round < rounds; round++) {
      for (const one of [...open]) {
        try {
          const answer = await one.side.run(steps);
          if (round >= 0) one.runs.push(answer);
          log(`${round < 0 ? 'warm-up' : `round ${round + 1}/${rounds}`}  ${one.side.name}  ${(answer.ms / steps).toFixed(1)} ms`);
        } catch (error) {
          await one.side.close();
          open.splice(open.indexOf(one), 1);
          await drop(one.side.name, error);
        }
      }
    }
  } finally {
    await Promise.all(open.map(({ side }) => side.close()));
  }
  const measured = open.map(({ side: { name }, version, runs }) => {
    const last = runs.at(-1)!;
    return { name, version, ms: median(runs.map(({ ms }) => ms / steps)), peakRssBytes: last.peakRssBytes, values: runs.map(({ values }) => values), ...(last.note === undefined ? {} : { note: last.note }) };
  });
  return { measured, failures };
}

/** The middle of the numbers, or the mean of the two in the middle. Throws RangeError for none. */
export function median(numbers: readonly number[]): number {
  if (numbers.length === 0) throw new RangeError('the median of no numbers');
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/**
 * Holds two sides to the same work: `key` must agree in every round within `tolerance` (relative).
 *
 * @throws Error naming the round and both values: the times are then worth nothing.
 */
export function requireSame(ours: Measured, peer: Measured, key: string, tolerance: number): void {
  ours.values.forEach((values, round) => {
    const [a, b] = [values[key]!, peer.values[round]![key]!];
    if (Math.abs(a - b) <= tolerance * Math.abs(b)) return;
    throw new Error(`${ours.name} and ${peer.name} do different work: ${key} ${a} against ${b} in round ${round + 1}`);
  });
}
