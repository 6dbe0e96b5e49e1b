// `saeflow replay` of files, as someone does who was sent a history; of a run on a server: test/workers/deployment.test.ts.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { runCli } from './runCli.ts';

const folder = mkdtempSync(join(tmpdir(), 'saeflow-replay-'));
const recorded = join(import.meta.dirname, '../replay/trainSae.json');
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('saeflow replay', () => {
  it('says which histories replay, and of one that does not where and what is recorded there', async () => {
    const changed = join(folder, 'changed.json');
    writeFileSync(changed, readFileSync(recorded, 'utf8').replaceAll('"resampleSae"', '"resampleSaeOfOld"'));
    const { exitCode, stdout, stderr } = await runCli(folder, ['replay', recorded, changed]);
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(/^replays {2}trainSae {2}saeflow\/trainSae\/\w+ {2}\(\d+ events\)$/m);
    expect(stdout).toMatch(/^DIFFERS {2}trainSae {2}\S+ {2}at event \d+ to \d+ of \d+\n {9}recorded: .*activityTaskScheduled resampleSaeOfOld/m);
    expect(stderr).toContain('one history does not replay');
    expect(stderr).toContain('docs/operations.md');
    expect((await runCli(folder, ['replay', recorded])).exitCode).toBe(0);
  });

  it('names a file that is none, and one that is not there', async () => {
    writeFileSync(join(folder, 'other.json'), '{"hello": 1}');
    expect((await runCli(folder, ['replay', 'other.json'])).stderr).toContain('other.json is no workflow history');
    expect((await runCli(folder, ['replay', 'nowhere.json'])).stderr).toContain('nowhere.json: no such file');
  });
});
