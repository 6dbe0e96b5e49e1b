// Sides are real processes that speak the benches' protocol and do no work.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { alternate, median, requireSame } from '../../bench/rounds.ts';
import { Side, SideError, type SideCommand } from '../../bench/side.ts';
import { findOnPath } from '../../setup/command.ts';

const folder = mkdtempSync(join(tmpdir(), 'saeflow-rounds-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let order: string;
let tests = 0;
beforeEach(() => {
  order = join(folder, `order-${tests++}`);
});

const script = (name: string) => fileURLToPath(new URL(`./sides/${name}`, import.meta.url));
const side = (name: string, mode = 'works'): SideCommand => ({ name, program: process.execPath, args: [script('side.mjs'), order, name, mode], env: process.env });
const settings = { rounds: 3, warmups: 2, steps: 2 };
const quiet = () => undefined;

describe('alternating rounds', () => {
  it('run every side once in each round, in turn, warm-ups first', async () => {
    await alternate([side('a'), side('b'), side('c')], settings, quiet);
    expect(readFileSync(order, 'utf8')).toBe('abc'.repeat(5));
  });

  it('give the median time of one step over the rounds that count, the last peak and every value', async () => {
    const { measured } = await alternate([side('a'), side('b')], settings, quiet);
    // 30, 20 and 1,000 ms a step after two warm-ups
    expect(measured[1]).toEqual({ name: 'b', version: 'b 1.0', ms: 30, peakRssBytes: 5e6, values: [{ loss: 1 }, { loss: 1 }, { loss: 1 }] });
  });

  it('go on without a peer that refuses to start or dies, and say why', async () => {
    const { measured, failures } = await alternate([side('a'), side('b', 'refuses'), side('c', 'dies')], settings, quiet);
    expect(measured.map(({ name }) => name)).toEqual(['a']);
    expect(failures).toEqual([
      { name: 'b', reason: 'no compiler' },
      { name: 'c', reason: 'it ended without an answer; its last line: out of luck' },
    ]);
    expect(readFileSync(order, 'utf8')).toBe('acacaaa');
  });

  it('do not go on without our own side', async () => {
    await expect(alternate([side('a', 'dies'), side('b')], settings, quiet)).rejects.toThrow(/out of luck/);
  });

  it('tell of a program that is not there', async () => {
    const { failures } = await alternate([side('a'), { ...side('b'), program: '/no/such/python' }], settings, quiet);
    expect(failures).toEqual([{ name: 'b', reason: 'it ended without an answer; its last line: spawn /no/such/python ENOENT' }]);
  });

  it('are worth nothing when both sides did different work', async () => {
    const { measured: [a, b] } = await alternate([side('a'), side('b', 'other')], settings, quiet);
    expect(() => requireSame(a!, a!, 'loss', 0)).not.toThrow();
    expect(() => requireSame(a!, b!, 'loss', 0.1)).toThrow('a and b do different work: loss 1 against 2 in round 1');
  });
});

describe('a side in Python', () => {
  const python = findOnPath('python3', process.env)!;
  const peers = fileURLToPath(new URL('../../bench/peers', import.meta.url));
  const command = (options: object): SideCommand => ({ name: 'Python', program: python, args: [script('side.py'), JSON.stringify({ threads: 1, ...options }), peers], env: process.env });

  it('answers with time, memory and values, whatever libraries print', async () => {
    const { side, about } = await Side.open(command({ fails: 'never', upTo: 5 }));
    try {
      expect(about).toEqual({ type: 'ready', version: 'Python', threads: 1 });
      await side.run(1);
      const { values, rssBytes, peakRssBytes } = await side.run(3);
      expect(values).toEqual({ sum: 10, index: 3 });
      expect(rssBytes).toBeGreaterThan(1e6);
      expect(peakRssBytes).toBeGreaterThanOrEqual(rssBytes);
    } finally {
      await side.close();
    }
  });

  it('that cannot be set up says why', async () => {
    await expect(Side.open(command({ fails: 'at start', upTo: 5 }))).rejects.toThrow(new SideError('ValueError: no such thing'));
  });

  it('whose step fails says why, in a line', async () => {
    const { side } = await Side.open(command({ fails: 'at step', upTo: 5 }));
    try {
      await expect(side.run(1)).rejects.toMatchObject({ name: 'SideError', message: 'RuntimeError: no compiler', details: 'RuntimeError: no compiler\ndetails' });
    } finally {
      await side.close();
    }
  });
});

describe('the median', () => {
  it('is the middle number, or the mean of the two in the middle', () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([9, 1, 5, 7])).toBe(6);
    expect(() => median([])).toThrow(RangeError);
  });
});
