import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { peersPython } from '../../bench/peers/setup.ts';
import { UserError } from '../../schemas/errors.ts';

const folder = mkdtempSync(join(tmpdir(), 'saeflow-peers-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const quiet = () => undefined;

/** A folder for the PATH with a python3 that runs these lines of shell. */
function pathWith(name: string, ...lines: string[]): string {
  const path = join(folder, name);
  mkdirSync(path);
  writeFileSync(join(path, 'python3'), `#!/bin/sh\n${lines.join('\n')}\n`);
  chmodSync(join(path, 'python3'), 0o755);
  return path;
}

async function refusal(env: Record<string, string>): Promise<UserError> {
  const error: unknown = await peersPython(quiet, { SAEFLOW_CACHE_DIR: join(folder, 'cache'), ...env }).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(UserError);
  return error as UserError;
}

describe('the peers of the benches', () => {
  it('are those of SAEFLOW_PEERS_PYTHON where it is set', async () => {
    expect(await peersPython(quiet, { SAEFLOW_PEERS_PYTHON: '/opt/peers/python' })).toBe('/opt/peers/python');
  });

  it('need a Python that is new enough, and say so', async () => {
    expect((await refusal({ PATH: folder })).message).toMatch(/need Python 3/);
    const old = pathWith('old', 'echo 3.9');
    expect((await refusal({ PATH: old })).message).toBe(`the peers of the benches need Python 3.11 or newer; ${old}/python3 is 3.9`);
  });

  it('leave nothing behind when their installation fails, and tell what failed', async () => {
    const lines: string[] = [];
    const broken = pathWith('broken', 'case "$1" in -c) echo 3.12;; *) echo "no module named venv" >&2; exit 1;; esac');
    const cache = join(folder, 'broken-cache');
    const error: unknown = await peersPython((line) => lines.push(line), { SAEFLOW_CACHE_DIR: cache, PATH: broken }).catch((reason: unknown) => reason);
    expect((error as UserError).message).toMatch(/could not be installed[^]*no module named venv/);
    expect(lines.join('\n')).toMatch(/GB to download, .* on disk/);
    expect(readdirSync(join(cache, 'bench-peers'))).toEqual([]);
  });

  it.each([
    ['requirements.txt', ['torch', 'numpy', 'safetensors', 'sae-lens', 'dictionary-learning']],
    ['requirements-tokenize.txt', ['tiktoken', 'tokenizers']],
  ])('are pinned, every one of %s', (file, named) => {
    const lines = readFileSync(new URL(`../../bench/peers/${file}`, import.meta.url), 'utf8').split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    expect(lines.filter((line) => !/^[a-z0-9-]+==[0-9][0-9a-z.]*$/.test(line))).toEqual([]);
    expect(lines.map((line) => line.split('==')[0])).toEqual(expect.arrayContaining(named));
  });
});
