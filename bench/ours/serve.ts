// Our side's half of bench/protocol.ts: sets up, then runs steps on command and says how long they took.
import { createInterface } from 'node:readline';
import type { LoadedBackend } from '../../workers/tensorflow.ts';
import { residentBytes } from '../machine.ts';
import { toSide, type Ran, type Ready } from '../protocol.ts';

/** What a step gave. */
export interface StepOutcome {
  values: Record<string, number>;
  note?: string;
}

/** Serves `step`, which computes on `backend`. */
export async function serveSide(backend: Pick<LoadedBackend, 'tensorflowVersion' | 'threads'> & { name: string }, step: (index: number) => StepOutcome | Promise<StepOutcome>): Promise<void> {
  await serve({ version: `${backend.name} ${backend.tensorflowVersion}`, threads: backend.threads }, step);
}

/** Serves `step` until stdin ends. Nothing else may write to stdout. */
export async function serve(about: Pick<Ready, 'version' | 'threads'>, step: (index: number) => StepOutcome | Promise<StepOutcome>): Promise<void> {
  const say = (message: Ready | Ran) => process.stdout.write(`${JSON.stringify(message)}\n`);
  say({ type: 'ready', ...about });
  let index = 0;
  for await (const line of createInterface({ input: process.stdin })) {
    const { steps } = toSide.parse(JSON.parse(line));
    let outcome: StepOutcome = { values: {} };
    const started = performance.now();
    for (let done = 0; done < steps; done++) outcome = await step(index++);
    const ms = performance.now() - started;
    say({ type: 'ran', ms, ...residentBytes(), ...outcome });
  }
}
