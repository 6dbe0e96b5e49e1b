import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readResults, record, resultsPage } from '../../bench/record.ts';
import { compare, recordedResult, type RecordedResult } from '../../bench/result.ts';

const folder = mkdtempSync(join(tmpdir(), 'saeflow-record-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function recorded(bench: string, ours: number): RecordedResult {
  const headline = compare('a case', 'ms', ours, 500, 'Peer 1.0', { goal: 2, note: 'sparse path' });
  const { peer, ratio, unit, peerVersion } = headline;
  return {
    result: { bench, ours, peer, ratio, unit, peerVersion, machine: '2 × processor', cases: [headline, compare('another', 'MB', 30, 20, 'Peer 1.0')], notes: ['a peer is missing'] },
    date: '2026-11-24',
    threads: 2,
    rounds: 7,
    command: `npm run -s bench -- ${bench} --record`,
    versions: ['saeflow 0.1.0', 'tensorflow 2.21.0'],
  };
}

describe('RESULTS.md', () => {
  it('is what the recorded results generate, and nothing else', () => {
    const page = readFileSync(new URL('../../bench/RESULTS.md', import.meta.url), 'utf8');
    expect(page).toBe(resultsPage(readResults()));
  });

  it('has a section a bench in the order of the list, the newest result of each', () => {
    record(recorded('sample', 400), folder);
    record(recorded('sae-step', 100), folder);
    record(recorded('sample', 200), folder);
    const page = readFileSync(join(folder, 'RESULTS.md'), 'utf8');
    expect(page.match(/^## .+$/gm)).toEqual(['## sae-step', '## sample']);
    expect(page).toContain('| a case (sparse path) | 200 ms | 500 ms | **2.50** | ≥ 2 | Peer 1.0 |');
    expect(page).toContain('| another | 30 MB | 20 MB | **0.67** |  | Peer 1.0 |');
    expect(page).toContain('2026-11-24, 2 threads, 7 rounds, 2 × processor; saeflow 0.1.0, tensorflow 2.21.0');
    expect(page).toContain('    npm run -s bench -- sample --record');
    expect(page).toContain('- a peer is missing');
    expect(page).not.toContain('400');
  });

  it('takes no result that is malformed or says more than it may', () => {
    const wrong = { ...recorded('sample', 200), date: 'yesterday' };
    expect(() => record(wrong, folder)).toThrow(/date/);
    expect(recordedResult.safeParse({ ...recorded('sample', 200), typed: true }).success).toBe(false);
  });
});
