// The real command, on benches that need no peer.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { benchNames } from '../../bench/benchNames.ts';
import { benchResult } from '../../bench/result.ts';

const main = fileURLToPath(new URL('../../bench/main.ts', import.meta.url));

function bench(...args: string[]): Promise<{ exitCode: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, ['--import', 'tsx', main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
  return new Promise((resolve) => child.on('close', (exitCode) => resolve({ exitCode, ...output })));
}

describe('npm run bench', () => {
  it('lists the benches with a line each, also with --help', async () => {
    const [list, help] = await Promise.all([bench(), bench('--help')]);
    expect([list.exitCode, help.exitCode]).toEqual([0, 0]);
    for (const name of benchNames) {
      expect(list.stderr).toMatch(new RegExp(`^  ${name} +\\S`, 'm'));
      expect(help.stdout).toMatch(new RegExp(`^  ${name} +\\S`, 'm'));
    }
  });

  it('refuses a name it does not know, and lists those it knows', async () => {
    const { exitCode, stderr, stdout } = await bench('sae-steps');
    expect(exitCode).toBe(1);
    expect(stderr).toContain('no bench is called "sae-steps"');
    expect(stderr).toContain(`Use one of: ${benchNames.join(', ')}.`);
    expect(stdout).toBe('');
  });

  it.each([
    [['memory', '--threads', 'all'], /threads.*'all' is invalid/],
    [['memory', '--rounds', '0'], /rounds.*'0' is invalid/],
    [['memory', '--case', 'SAE', '--record'], /--record with --case/],
    [['memory', '--case', 'no such case'], /memory has no case with "no such case" in its name/],
  ])('refuses %j with the reason', async (args, reason) => {
    const { exitCode, stderr, stdout } = await bench(...args);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(reason);
    expect(stdout).toBe('');
  });

  it('runs a bench and ends stdout with its result as a line of JSON', async () => {
    const { exitCode, stdout, stderr } = await bench('memory', '--case', '1000 small SAE', '--threads', '1');
    expect(exitCode, stderr).toBe(0);
    const result = benchResult.parse(JSON.parse(stdout.trim().split('\n').at(-1)!));
    expect(result.bench).toBe('memory');
    expect(result.ratio).toBeCloseTo(result.peer / result.ours, 2);
    expect(result.cases[0]).toMatchObject({ ours: result.ours, peer: result.peer, ratio: result.ratio, unit: result.unit });
    expect(stderr).toMatch(/1000 small SAE steps.*MB.*MB/);
  });
});
