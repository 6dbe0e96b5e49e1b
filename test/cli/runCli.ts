// The real command in a process of its own, with a state folder and environment of the test's own.
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const bin = fileURLToPath(new URL('../../bin/saeflow.mjs', import.meta.url));

export interface CliResult {
  exitCode: number | null;
  stdout: string;
  stderr: string;
}

/** The environment of commands run in `folder`: no server of the developer's, no hub, nothing left running, no terminal. */
export function cliEnv(folder: string, extra: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const noProfiles = join(folder, 'temporal.toml');
  writeFileSync(noProfiles, '[profile.other]\n');
  const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(SAEFLOW_(STORE|STATE_DIR|QUEUES|DEBUG)|TEMPORAL_(ADDRESS|PROFILE|NAMESPACE))$/.test(name)));
  return { ...inherited, TEMPORAL_CONFIG_FILE: noProfiles, HF_ENDPOINT: 'http://127.0.0.1:9', CI: '1', ...extra };
}

/** Starts `saeflow …args` in `folder`; `output` grows as it writes. */
export function startCli(folder: string, args: readonly string[], extra: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, [bin, ...args], { cwd: folder, env: cliEnv(folder, extra), stdio: ['ignore', 'pipe', 'pipe'] });
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
  const ended = new Promise<CliResult>((resolve) => child.on('close', (exitCode) => resolve({ exitCode, ...output })));
  return { child, output, ended };
}

/** Runs `saeflow …args` in `folder` to its end. */
export async function runCli(folder: string, args: readonly string[], extra: NodeJS.ProcessEnv = {}): Promise<CliResult> {
  return startCli(folder, args, extra).ended;
}
