import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { saeKernelPath, setUpSaeKernel } from '../../setup/saeKernel.ts';
import { findCompiler } from '../../setup/tensorflow.ts';

const folder = mkdtempSync(join(tmpdir(), 'saeflow-kernel-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('is built once: a second set-up finds it and says nothing', async () => {
  const lines: string[] = [];
  expect(await setUpSaeKernel(process.env, (line) => lines.push(line))).toBe(saeKernelPath());
  expect(lines).toEqual([]);
  expect(existsSync(saeKernelPath())).toBe(true);
});

it.runIf(process.arch === 'x64')('with a compiler too old for one instruction set builds the others, and says so', async () => {
  const old = join(folder, 'old-compiler');
  writeFileSync(old, `#!/bin/sh\ncase "$*" in *-mavx512bf16*) echo "error: unrecognized command line option '-mavx512bf16'" >&2; exit 1;; esac\nexec "${findCompiler(process.env)}" "$@"\n`);
  chmodSync(old, 0o755);
  const lines: string[] = [];
  const path = await setUpSaeKernel({ ...process.env, CXX: old, SAEFLOW_CACHE_DIR: join(folder, 'old-cache') }, (line) => lines.push(line), join(folder, 'old-native'));
  expect(lines.join('\n')).toMatch(/old-compiler is too old for the SAE kernel on avx512bf16: .*Remedy: .*npm run setup/);
  const addon = createRequire(import.meta.url)(path!) as { open(isa: string, threads: number): string };
  expect(addon.open('portable', 1)).toBe('portable');
  expect(['portable', 'avx2', 'avx512']).toContain(addon.open('', 1));
  expect(() => addon.open('avx512bf16', 1)).toThrow('avx512bf16 is not on this processor, or the compiler did not know it');
}, 300_000);

it('without a compiler says what follows and what to do, and leaves nothing behind', async () => {
  const lines: string[] = [];
  const native = join(folder, 'native');
  const env = { PATH: folder, HOME: folder, SAEFLOW_CACHE_DIR: join(folder, 'cache') };
  expect(await setUpSaeKernel(env, (line) => lines.push(line), native)).toBeUndefined();
  expect(lines.at(-1)).toMatch(/no C\+\+ compiler.*train on TensorFlow.*Remedy: .*npm run setup/);
  expect(readdirSync(join(folder, 'cache', 'sae-kernel')).filter((name) => !name.endsWith('.lock'))).toEqual([]);
  expect(existsSync(native)).toBe(false);
});
