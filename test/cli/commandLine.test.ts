// Bad input through the real command: each is refused with a message that names it, a remedy, and exit code 1.
import { existsSync, mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Plan } from '../../cli/plan.ts';
import { runCli } from './runCli.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'saeflow-cli-'));
  writeFileSync(join(folder, 'a.txt'), 'text '.repeat(1_000));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function refused(...args: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await runCli(folder, args);
  expect(exitCode, stdout + stderr).toBe(1);
  expect(stderr).not.toMatch(/\n\s+at /); // no stack
  return stderr;
}

describe('configuration', () => {
  it('with an unknown field, a wrong type and an impossible combination is refused, all at once', async () => {
    const said = await refused('run', 'tiny', '--set', 'transformer.depth=2', '--set', 'seed="two"', '--set', 'transformer.architecture.nHead=3');
    expect(said).toContain('transformer.depth: no such field (got 2)');
    expect(said).toContain('seed: Invalid input: expected number, received string (got "two")');
    expect(said).toContain('dModel 32 is not divisible by nHead 3: choose nHead among the divisors of dModel');
  });

  it('of an unknown preset names those there are', async () => {
    expect(await refused('run', 'huge')).toContain('no preset is called "huge"\n         Use one of: tiny, demo, small, monosemantic');
  });

  it('in a file that is not there, or not JSON, names the file', async () => {
    expect(await refused('plan', '--config', 'none.json')).toContain('none.json');
    writeFileSync(join(folder, 'broken.json'), '{"seed": 1,}');
    expect(await refused('plan', '--config', 'broken.json')).toMatch(/broken\.json: not JSON/);
  });
});

describe('corpus', () => {
  it('that is missing, empty or of an unknown kind is refused before anything starts', async () => {
    expect(await refused('demo', '--corpus', 'nothing/*.jsonl')).toMatch(/nothing\/\*\.jsonl" matches no file under .*\n\s+Check the pattern/);
    writeFileSync(join(folder, 'empty.jsonl'), '');
    expect(await refused('demo', '--corpus', 'empty.jsonl')).toMatch(/the corpus is empty: .*empty\.jsonl/);
    writeFileSync(join(folder, 'table.csv'), 'a,b\n');
    expect(await refused('demo', '--corpus', 'table.csv')).toMatch(/table\.csv: .*\n\s+Supported are \.txt, \.jsonl and \.parquet/);
  });
});

describe('this machine', () => {
  it('with the port in use is told of it', async () => {
    const holder = createServer();
    await new Promise<void>((listening) => void holder.listen(0, '127.0.0.1', listening));
    const { port } = holder.address() as AddressInfo;
    try {
      expect(await refused('run', 'tiny', '--corpus', 'a.txt', '--port', String(port))).toContain(`Port ${port} for Temporal’s gRPC is in use`);
    } finally {
      holder.close();
    }
  });

  it('with a file where the store or the state folder should be is told of it', async () => {
    writeFileSync(join(folder, 'file'), '');
    expect(await refused('run', 'tiny', '--corpus', 'a.txt', '--store', 'file')).toContain('the store');
    const { exitCode, stderr } = await runCli(folder, ['server'], { SAEFLOW_STATE_DIR: 'file' });
    expect(exitCode).toBe(1);
    expect(stderr).toContain('is a file: saeflow keeps its state in a folder of that name');
  });

  it('where the worker refuses to work is told why', async () => {
    const { exitCode, stderr } = await runCli(folder, ['run', 'tiny', '--corpus', 'a.txt'], { SAEFLOW_CPU_SLOTS: 'many' });
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/the worker can't work:\n +SAEFLOW_CPU_SLOTS is 'many'/);
    expect(existsSync(join(folder, '.saeflow/server.json'))).toBe(false);
  });

  it('with too small a disk is told so before a run starts', async () => {
    expect(await refused('run', 'monosemantic', '--corpus', 'a.txt', '--set', 'activations.prompts=20000000000')).toMatch(/needs about 4\.1 PB of disk at once, and .* are free in .*: 4\.1 PB of activations \(4\.00 T vectors × 1,036 B\) \+ .* of the rest[^]*activations\.retention=consume \(then \d+\.\d GB: [^]*--store/);
  });
});

describe('commands', () => {
  it('without a server or a finished run say how to get one', async () => {
    expect(await refused('status')).toMatch(/no Temporal server is running[^]*saeflow server/);
    expect(await refused('report')).toMatch(/no run has finished in the store .*\n\s+Start one with saeflow demo/);
    expect(await refused('verify', 'tokenize/abc')).toContain('tokenize/abc: no such artifact');
  });

  it('refuse a report that was damaged, by name', async () => {
    mkdirSync(join(folder, 'store/runs/x-1'), { recursive: true });
    writeFileSync(join(folder, 'store/runs/x-1/report.json'), '{"run": "x"');
    expect(await refused('report', '--store', 'store')).toMatch(/runs\/x-1\/report\.json is malformed/);
  });

  it('refuse options that make no sense', async () => {
    expect(await refused('open', '--port', '99999')).toContain('Give a whole number from 1 to 65535');
    expect(await refused('retry', 'demo', '--shards', '1,x')).toContain('Give a whole number from 0 up');
    expect(await refused('run', 'tiny', '--priority', '6')).toContain('Give a whole number from 1 to 5');
    expect(await refused('dmeo')).toContain('Did you mean demo?');
    expect(await refused('run', 'tiny', '--set', 'seed')).toContain('--set seed: not of the form path=value');
  });

  it('each have help with an example', async () => {
    const { stdout } = await runCli(folder, ['--help']);
    const names = [...stdout.matchAll(/^ {2}([a-z]+) /gm)].map(([, name]) => name!).filter((name) => name !== 'help');
    expect(names).toEqual(expect.arrayContaining(['demo', 'run', 'plan', 'status', 'report', 'ls', 'open', 'pause', 'resume', 'cancel', 'retry', 'skip', 'abort', 'priority', 'verify', 'worker', 'server', 'stop', 'doctor', 'setup']));
    for (const name of names) {
      const help = await runCli(folder, [name, '--help']);
      expect(help.stdout).toContain(`Examples:\n  $ saeflow ${name}`);
    }
  });
});

describe('plan', () => {
  it('prints the real thing where it can’t be run, also as JSON', async () => {
    const text = await runCli(folder, ['plan', '--preset', 'monosemantic']);
    expect(text.exitCode).toBe(0);
    expect(text.stdout).toMatch(/sampleActivations\s+16,000 shards\s+4\.00 G vectors/);
    const json = await runCli(folder, ['plan', 'monosemantic', '--json']);
    const { stages, devices } = JSON.parse(json.stdout) as Plan;
    expect(stages.map(({ stage, pieces }) => [stage, pieces])).toContainEqual(['sampleActivations', 16_000]);
    expect(stages.find(({ stage }) => stage === 'sampleActivations')!.bytes).toBe(4.144e12);
    for (const { seconds, totalSeconds } of devices) expect(totalSeconds).toBe(seconds.reduce((sum, value) => sum + value, 0));
  });
});
