// The doctor's findings on this machine as it is, and on one whose PATH and cache are empty.

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { diagnose, printFindings, type Finding } from '../../setup/doctor.ts';

const scratch = mkdtempSync(join(tmpdir(), 'saeflow-doctor-'));

function named(findings: Finding[], name: string): Finding {
  const finding = findings.find((candidate) => candidate.name === name);
  if (!finding) throw new Error(`no finding is named ${name}`);
  return finding;
}

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe('diagnose', () => {
  it('finds everything a run needs where set-up has run', async () => {
    const findings = await diagnose();
    expect(findings.filter((finding) => finding.status === 'fail')).toEqual([]);
    expect(named(findings, 'node').found).toContain(process.version);
    expect(named(findings, 'packages').found).toMatch(/^\d+ packages at their pinned versions$/);
    expect(named(findings, 'tensorflow').found).toMatch(/^native 2\.21\.0 on (CPU|GPU)/);
    expect(named(findings, 'processor').found).toMatch(/^\d+ cores/);
    expect(named(findings, 'cache disk').found).toMatch(/^[\d.]+ [MG]B free in /);
  });

  it('fails for a missing Temporal and warns for missing tools, each with its remedy', async () => {
    mkdirSync(join(scratch, 'bin'));
    const findings = await diagnose({ HOME: scratch, PATH: join(scratch, 'bin'), SAEFLOW_CACHE_DIR: join(scratch, 'cache') });
    expect(named(findings, 'temporal')).toMatchObject({ status: 'fail', remedy: 'Run npm run setup.' });
    for (const [name, remedy] of [['compiler', 'g++'], ['python', 'python3'], ['pip', 'python3-pip'], ['browser', 'CHROME_PATH']] as const) {
      expect(named(findings, name)).toMatchObject({ status: 'warn', found: 'none', remedy: expect.stringContaining(remedy) as string });
    }
    expect(named(findings, 'tensorflow').status).not.toBe('fail');
  });

  it('reports WASM with its reason as a warning', async () => {
    const findings = await diagnose({ ...process.env, SAEFLOW_TF_VARIANT: 'wasm' });
    expect(named(findings, 'tensorflow')).toMatchObject({ status: 'warn', found: expect.stringContaining('WASM, about 10 times slower (SAEFLOW_TF_VARIANT=wasm)') as string });
  });

  it('turns a wrong setting and a server that does not answer into failures with a remedy', async () => {
    const findings = await diagnose({ ...process.env, CHROME_PATH: '/nowhere/chrome', TEMPORAL_ADDRESS: '127.0.0.1:9' });
    expect(named(findings, 'browser')).toMatchObject({ status: 'fail', found: expect.stringContaining('/nowhere/chrome') as string });
    expect(named(findings, 'temporal')).toMatchObject({ status: 'fail', found: expect.stringContaining('127.0.0.1:9') as string });
  });
});

describe('printFindings', () => {
  it('puts the remedy under what is not well, and under nothing else', () => {
    const lines: string[] = [];
    const findings: Finding[] = [
      { name: 'node', status: 'ok', found: 'v20', remedy: 'Install Node.' },
      { name: 'temporal', status: 'fail', found: 'none', remedy: 'Run npm run setup.' },
    ];
    printFindings(findings, (line) => lines.push(line));
    expect(lines).toEqual(['ok    node      v20', 'FAIL  temporal  none', '                → Run npm run setup.']);
  });
});
