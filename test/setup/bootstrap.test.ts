// The two plain-JavaScript entries, in processes of their own: what they say before the packages are there, and after.

import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { findBrowser } from '../../setup/browser.ts';

const root = resolve(import.meta.dirname, '../..');
const scratch = mkdtempSync(join(tmpdir(), 'saeflow-bootstrap-'));

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe('bin/saeflow.mjs', () => {
  it('says to run the set-up when the packages are missing', () => {
    mkdirSync(join(scratch, 'bin'));
    cpSync(join(root, 'bin/saeflow.mjs'), join(scratch, 'bin/saeflow.mjs'));
    const { status, stderr } = spawnSync(process.execPath, [join(scratch, 'bin/saeflow.mjs'), '--help'], { encoding: 'utf8' });
    expect(status).toBe(1);
    expect(stderr).toContain('npm run setup');
    expect(stderr).not.toContain('at ');
  });
});

describe('setup/bootstrap.mjs', () => {
  it('installs, fetches and compiles nothing where all is there, and says what is in use', () => {
    const said = execFileSync(process.execPath, [join(root, 'setup/bootstrap.mjs'), '--for-tests'], { encoding: 'utf8' });
    const lines = said.trim().split('\n');
    expect(lines).toEqual([expect.stringMatching(/^setup: TensorFlow/), expect.stringMatching(/^setup: SAE kernel in /), expect.stringMatching(/^setup: Temporal/), `setup: browser ${findBrowser()}`, expect.stringMatching(/^setup: S3 server for tests in /)]);
  });
});

describe('findBrowser', () => {
  it('takes CHROME_PATH first, refuses one that is wrong, and finds none on an empty PATH', () => {
    expect(findBrowser({ PATH: process.env['PATH'], CHROME_PATH: process.execPath })).toBe(process.execPath);
    expect(() => findBrowser({ CHROME_PATH: join(scratch, 'chrome') })).toThrow('CHROME_PATH');
    expect(findBrowser({ PATH: join(scratch, 'nothing') })).toBeUndefined();
  });
});
