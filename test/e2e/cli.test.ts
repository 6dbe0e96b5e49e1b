// The command line from a person's chair: a run on one's own text, its report, the same run again, another λ, damage,
// Ctrl-C, a broken line, and links that work after the command has ended. Everything real, on the tiny preset.
import { appendFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { report as reportSchema, type Report } from '../../schemas/report.ts';
import { isAlive } from '../../setup/lock.ts';
import { runCli, startCli, type CliResult } from '../cli/runCli.ts';
import { writeTestCorpus } from '../../bench/corpus.ts';

const limit = 300_000;
const allStages = ['tokenize', 'trainTransformer', 'sampleActivations', 'trainSae', 'exportDashboard'];

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'saeflow-e2e-'));
  await writeTestCorpus(join(folder, 'corpus.jsonl'));
});
afterAll(async () => {
  await runCli(folder, ['stop']);
  rmSync(folder, { recursive: true, force: true });
}, limit);

const tiny = ['run', 'tiny', '--corpus', 'corpus.jsonl'];

async function succeed(...args: string[]): Promise<CliResult> {
  const result = await runCli(folder, args);
  expect(result.exitCode, result.stdout + result.stderr).toBe(0);
  return result;
}

async function reportOf(run?: string): Promise<Report> {
  const { stdout } = await succeed('report', '--json', ...(run === undefined ? [] : [run]));
  return reportSchema.parse(JSON.parse(stdout));
}

function made({ stages }: Report): string[] {
  return stages.filter(({ cached }) => !cached).map(({ name }) => name);
}

function idOf({ stdout }: CliResult): string {
  return /(?:started|going on with) (saeflow\/\S+)/.exec(stdout)![1]!;
}

function aShard(report: Report): string {
  const { name, key } = report.stages.find((stage) => stage.name === 'sampleActivations')!;
  const artifact = join(folder, '.saeflow/store', name, key);
  const file = (readdirSync(artifact, { recursive: true }) as string[]).find((path) => path.endsWith('.parquet'))!;
  return join(artifact, file);
}

describe('saeflow', () => {
  it('runs a corpus of one’s own, finds it all the second time, and re-runs only what λ affects', async () => {
    const first = await succeed(...tiny);
    expect(first.stdout).toMatch(/trainTransformer: running, +\d+ %/);
    expect(first.stdout).toMatch(/Temporal UI {2}http:\/\/127\.0\.0\.1:\d+\/namespaces\/default\/workflows\/saeflow%2Ftiny/);
    expect(first.stdout).toMatch(/loss recovered [\d.-]+/);
    // eslint-disable-next-line no-control-regex
    expect(first.stdout).not.toMatch(/\x1b/);
    const report = await reportOf();
    expect(made(report)).toEqual(allStages);
    expect(idOf(first)).toBe(`saeflow/tiny/${report.configHash.slice(0, 12)}`);

    await succeed(...tiny);
    expect(made(await reportOf())).toEqual([]);

    await succeed(...tiny, '--set', 'saes.0.l1Coefficient=0.01');
    const other = await reportOf();
    expect(made(other)).toEqual(['trainSae', 'exportDashboard']);
    expect(other.configHash).not.toBe(report.configHash);
    expect((await reportOf(`tiny/${report.configHash.slice(0, 12)}`)).configHash).toBe(report.configHash);
    expect((await succeed('ls')).stdout).toContain(`tiny/${other.configHash.slice(0, 12)}`);
  }, limit);

  it('finds a damaged shard, names it and what was made from it, and makes that shard alone anew with the same bytes', async () => {
    const report = await reportOf();
    await succeed('verify');
    const shard = aShard(report);
    const sound = readFileSync(shard);
    const damaged = Buffer.from(sound);
    damaged[damaged.length >> 1]! ^= 1;
    writeFileSync(shard, damaged);

    const found = await runCli(folder, ['verify']);
    expect(found.exitCode).toBe(1);
    expect(found.stderr).toContain(shard);
    expect(found.stdout).toMatch(/DAMAGED +sampleActivations/);
    const { key } = report.stages.find(({ name }) => name === 'sampleActivations')!;
    const later = report.stages.filter(({ name }) => ['trainSae', 'exportDashboard'].includes(name));
    // and those of the run before, with another λ
    expect(found.stderr.match(/^ +(trainSae|exportDashboard)\/[0-9a-f]{64}$/gm)).toHaveLength(4);
    for (const one of later) expect(found.stderr).toContain(`${one.name}/${one.key}`);
    expect(found.stderr).toMatch(new RegExp(`part of the runs .*tiny/${report.configHash.slice(0, 12)}`));

    const refused = await runCli(folder, [...tiny, '--set', 'saes.0.l1Coefficient=0.02']);
    expect(refused.exitCode).toBe(1);
    expect(refused.stderr).toContain(`${shard} is corrupted`);
    expect(refused.stderr).toContain('saeflow repair');

    const others = readdirSync(join(shard, '..')).filter((file) => !shard.endsWith(file));
    const writtenMs = () => others.map((file) => statSync(join(shard, '..', file)).mtimeMs);
    const before = writtenMs();
    const repaired = await succeed('repair', `sampleActivations/${key.slice(0, 8)}`);
    expect(repaired.stdout).toContain(`making anew sampleActivations/${key}: shard ${Number(/(\d+)\.parquet/.exec(shard)![1])}`);
    expect(repaired.stdout).toContain(`repaired sampleActivations/${key}: the same bytes as before; what was made from it stays valid:`);
    for (const one of later) expect(repaired.stdout).toContain(`    ${one.name}/${one.key}`);
    expect(repaired.stdout.trimEnd().split('\n').at(-1)).toBe('verified: every file is what its manifest says');
    expect(readFileSync(shard).equals(sound)).toBe(true);
    expect(others.length).toBeGreaterThan(0);
    expect(writtenMs()).toEqual(before);
    await succeed('verify');
    await succeed(...tiny, '--set', 'saes.0.l1Coefficient=0.02');
    expect(made(await reportOf())).toEqual(['trainSae', 'exportDashboard']);
  }, limit);

  it('repairs a run that lost a file of every kind: a truncated model, a missing shard, a page, a manifest', async () => {
    const { stages } = await reportOf();
    const place = (stage: string, file: string) => join(folder, '.saeflow/store', stage, stages.find(({ name }) => name === stage)!.key, file);
    const model = place('trainTransformer', 'model.safetensors');
    const lost = [model, place('tokenize', 'shards/00000.train.bin'), place('exportDashboard', 'site/data/index.json')];
    const sound = lost.map((file) => readFileSync(file));
    writeFileSync(model, sound[0]!.subarray(0, sound[0]!.length - 100));
    for (const file of lost.slice(1)) rmSync(file);
    rmSync(place('sampleActivations', 'manifest.json'));

    expect((await runCli(folder, ['verify'])).exitCode).toBe(1);
    const repaired = await succeed('repair');
    expect(repaired.stdout.match(/^repaired (tokenize|trainTransformer|exportDashboard)\/.*: the same bytes as before/gm)).toHaveLength(3);
    expect(repaired.stdout).toMatch(/repaired sampleActivations\/\w+; its manifest was lost/);
    expect(repaired.stdout).toContain('verified: every file is what its manifest says');
    expect(lost.every((file, index) => readFileSync(file).equals(sound[index]!))).toBe(true);
    await succeed('verify');
    expect((await succeed('repair')).stdout).toContain('verified: nothing is damaged');
    await succeed(...tiny, '--set', 'saes.0.l1Coefficient=0.02');
    expect(made(await reportOf())).toEqual([]);
  }, limit);

  it('names the file and line that is not JSON, and goes on once it is mended', async () => {
    const corpus = join(folder, 'mine.jsonl');
    await writeTestCorpus(corpus);
    const good = readFileSync(corpus);
    appendFileSync(corpus, '{"text": oops}\n');
    const lines = good.toString().split('\n').length;
    const refused = await runCli(folder, ['run', 'tiny', '--name', 'mine', '--corpus', 'mine.jsonl']);
    expect(refused.exitCode).toBe(1);
    expect(refused.stderr).toContain(`mine.jsonl:${lines}: not JSON`);
    writeFileSync(corpus, good);
    await succeed('run', 'tiny', '--name', 'mine', '--corpus', 'mine.jsonl');
    expect((await reportOf('mine')).run).toBe('mine');
  }, limit);

  it('stops cleanly at Ctrl-C, and the same command goes on from the checkpoint', async () => {
    const args = [...tiny, '--name', 'stopped', '--set', 'transformer.training.steps=4000', '--set', 'transformer.training.evaluateEverySteps=2000'];
    const { child, output, ended } = startCli(folder, args);
    while (!/trainTransformer: running, +[1-9]\d* %/.test(output.stdout) && child.exitCode === null) await sleep(100);
    child.kill('SIGINT');
    const stopped = await ended;
    expect(stopped.exitCode, stopped.stdout + stopped.stderr).toBe(130);
    expect(stopped.stdout).toContain('stopped; run the same command again to go on');
    expect(stopped.stderr).toBe('');
    expect(existsSync(join(folder, '.saeflow/server.json'))).toBe(false);
    expect(existsSync(join(folder, '.saeflow/worker.json'))).toBe(false);

    const resumed = await succeed(...args);
    expect(resumed.stdout).toContain(`going on with ${idOf(stopped)}`);
    const firstPercent = Number(/trainTransformer: running, +(\d+) %/.exec(resumed.stdout)?.[1]);
    const lastPercent = Number([...stopped.stdout.matchAll(/trainTransformer: running, +(\d+) %/g)].at(-1)![1]);
    expect(firstPercent).toBeGreaterThanOrEqual(lastPercent - 2);
    expect(made(await reportOf('stopped'))).toEqual(['trainTransformer', 'sampleActivations', 'trainSae', 'exportDashboard']);
  }, limit);

  it('goes on with the worker that a killed command left behind, and ends it', async () => {
    const args = [...tiny, '--name', 'killed', '--set', 'transformer.training.steps=300', '--set', 'seed=3'];
    const { child, output, ended } = startCli(folder, args);
    while (!/trainTransformer: running/.test(output.stdout) && child.exitCode === null) await sleep(100);
    child.kill('SIGKILL');
    await ended;
    const pidIn = (file: string) => (JSON.parse(readFileSync(join(folder, '.saeflow', file), 'utf8')) as { pid: number }).pid;
    const worker = pidIn('worker.json');
    expect(isAlive(worker)).toBe(true);
    const resumed = await succeed(...args);
    expect(resumed.stdout).toContain('going on with saeflow/killed/');
    expect(resumed.stdout).not.toContain('unexpectedly');
    expect(isAlive(worker)).toBe(false);
    await succeed('stop');
  }, limit);

  it('is stopped from another terminal as by Ctrl-C', async () => {
    const { child, output, ended } = startCli(folder, [...tiny, '--name', 'ended', '--set', 'transformer.training.steps=2000', '--set', 'seed=4']);
    while (!/trainTransformer: running/.test(output.stdout) && child.exitCode === null) await sleep(100);
    expect((await succeed('stop')).stdout).toContain(`stopped the command that ran (pid ${child.pid})`);
    const { exitCode, stdout } = await ended;
    expect(exitCode).toBe(130);
    expect(stdout).toContain('stopped; run the same command again to go on');
    expect(existsSync(join(folder, '.saeflow/server.json'))).toBe(false);
  }, limit);

  it('lets a person pause a run, and decide about a shard that failed', async () => {
    const corpus = join(folder, 'torn.jsonl');
    await writeTestCorpus(corpus);
    appendFileSync(corpus, 'not JSON\n');
    const { child, ended } = startCli(folder, ['run', 'tiny', '--name', 'torn', '--corpus', 'torn.jsonl', '--set', 'execution.onShardFailure=park', '--set', 'execution.minShardFraction=0.5', '--set', 'transformer.training.steps=300']);
    const until = async (pattern: RegExp): Promise<string> => {
      for (;;) {
        const { stdout } = await runCli(folder, ['status', 'torn']);
        if (pattern.test(stdout)) return stdout;
        expect(child.exitCode, stdout).toBeNull();
      }
    };
    const blocked = await until(/! tokenize +blocked/);
    expect(blocked).toMatch(/torn\.jsonl:\d+: not JSON/);
    expect(blocked).toContain('saeflow retry, skip or abort');
    const unknown = await runCli(folder, ['skip', 'torn', '--shards', '77']);
    expect(unknown.exitCode).toBe(1);
    expect(unknown.stderr).toContain('not parked: shard 77');
    expect((await succeed('retry', 'torn')).stdout).toMatch(/tokenize: retry 1 shards/);
    await until(/! tokenize +blocked/);
    expect((await succeed('skip', 'torn')).stdout).toMatch(/tokenize: skip 1 shards/);

    await until(/▶ trainTransformer +.* [1-9]\d*\/300 steps/);
    await succeed('pause', 'torn');
    await until(/‖ trainTransformer/);
    await succeed('resume', 'torn');
    const { exitCode, stdout, stderr } = await ended;
    expect(exitCode, stdout + stderr).toBe(0);
    expect(made(await reportOf('torn'))).toEqual(allStages);
    const refused = await runCli(folder, ['abort', 'torn']);
    expect(refused.stderr).toMatch(/no Temporal server is running/);
  }, limit);

  it('leaves UI and dashboard open at the end, shared by the next command, until saeflow stop', async () => {
    const first = await runCli(folder, tiny, { CI: '' });
    expect(first.exitCode, first.stdout + first.stderr).toBe(0);
    const urls = (text: string) => [/Temporal UI +(http\S+)/.exec(text)![1]!, /dashboard +(http\S+)/.exec(text)![1]!];
    const [ui, dashboard] = urls(first.stdout);
    expect((await fetch(new URL('/', ui))).status).toBe(200);
    expect(await (await fetch(dashboard!)).text()).toContain('<html');
    expect(await (await fetch(new URL('report.json', dashboard))).json()).toEqual(await reportOf());
    const { pid } = JSON.parse(readFileSync(join(folder, '.saeflow/server.json'), 'utf8')) as { pid: number };

    const second = await runCli(folder, tiny, { CI: '' });
    expect(urls(second.stdout)).toEqual([ui, dashboard]);
    const status = await succeed('status', idOf(second));
    expect(status.stdout).toContain('completed');

    await succeed('stop');
    expect(isAlive(pid)).toBe(false);
    await expect(fetch(dashboard!)).rejects.toThrow();
  }, limit);
});
