// Supervision of real processes: one that is killed is started again, one that refuses to work is given up.
import { spawn, type ChildProcess } from 'node:child_process';
import { afterEach, describe, expect, it } from 'vitest';
import { backoffMs, supervise } from '../../cli/supervisor.ts';
import { UserError } from '../../schemas/errors.ts';
import { isAlive } from '../../setup/lock.ts';

const children: ChildProcess[] = [];

function sleeper(): ChildProcess {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => undefined, 1000)'], { stdio: 'ignore' });
  children.push(child);
  return child;
}

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

describe('supervise', () => {
  it('starts a killed process again, says so, and leaves it alone when supervision ends', async () => {
    let child = sleeper();
    const said: string[] = [];
    const restarted = new Promise<void>((resolve) => {
      const end = supervise(
        {
          name: 'the sleeper',
          alive: () => isAlive(child.pid!),
          start: async () => {
            child = sleeper();
            resolve();
          },
          onGiveUp: (error) => said.push(error.message),
        },
        (line) => said.push(line),
      );
      ends.push(end);
    });
    const first = child.pid!;
    child.kill('SIGKILL');
    await restarted;
    await ends.pop()!();
    expect(child.pid).not.toBe(first);
    expect(isAlive(child.pid!)).toBe(true);
    expect(said).toEqual(['the sleeper ended unexpectedly; starting it again']);
  });

  it('gives up at once when starting again is refused with a remedy', async () => {
    const child = sleeper();
    child.kill('SIGKILL');
    const refusal = new UserError('the worker can’t work', 'Mend it.');
    const given = await new Promise<Error>((resolve) => {
      supervise({ name: 'the worker', alive: () => isAlive(child.pid!), start: async () => Promise.reject(refusal), onGiveUp: resolve }, () => undefined);
    });
    expect(given).toBe(refusal);
  });

  it('waits longer each time, up to half a minute', () => {
    expect([1, 2, 3, 10].map(backoffMs)).toEqual([1_000, 2_000, 4_000, 30_000]);
  });
});

const ends: (() => Promise<void>)[] = [];
