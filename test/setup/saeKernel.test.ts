import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { saeKernelPath, setUpSaeKernel } from '../../setup/saeKernel.ts';

const folder = mkdtempSync(join(tmpdir(), 'saeflow-kernel-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('is built once: a second set-up finds it and says nothing', async () => {
  const lines: string[] = [];
  expect(await setUpSaeKernel(process.env, (line) => lines.push(line))).toBe(saeKernelPath());
  expect(lines).toEqual([]);
  expect(existsSync(saeKernelPath())).toBe(true);
});

it('without a compiler says what follows and what to do, and leaves nothing behind', async () => {
  const lines: string[] = [];
  const native = join(folder, 'native');
  const env = { PATH: folder, HOME: folder, SAEFLOW_CACHE_DIR: join(folder, 'cache') };
  expect(await setUpSaeKernel(env, (line) => lines.push(line), native)).toBeUndefined();
  expect(lines.at(-1)).toMatch(/no C\+\+ compiler.*train on TensorFlow.*Remedy: .*npm run setup/);
  expect(readdirSync(join(folder, 'cache', 'sae-kernel')).filter((name) => !name.endsWith('.lock'))).toEqual([]);
  expect(existsSync(native)).toBe(false);
});
