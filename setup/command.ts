// Set-up drives other programs (pip, mvn, g++, go, apt-get). One place runs them: output kept for the error message,
// a line every 15 s while one is silent, and the search along PATH that decides which of them there are.

import { spawn } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Environment } from './cache.ts';

/** What a finished program said. */
export interface CommandResult {
  exitCode: number;
  stdout: string;
  stderr: string;
}

/** How to run a program. */
export interface CommandOptions {
  env: Environment;
  cwd?: string;
  /** With it, a line "<progress> … 30 s" is logged every 15 s. */
  progress?: string;
  log?: (line: string) => void;
  timeoutMs?: number;
}

const heartbeatMs = 15_000;
const keptOutputBytes = 64 * 1024;

/** A program that ended with a non-zero exit code; its message carries the end of its output. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}

/** The absolute path of `name` on the PATH of `env`, or undefined. */
export function findOnPath(name: string, env: Environment): string | undefined {
  for (const folder of (env['PATH'] ?? '').split(delimiter)) {
    if (folder === '') continue;
    const candidate = join(folder, name);
    if (isExecutable(candidate)) return candidate;
  }
  return undefined;
}

/** True for a regular file that this user may run. */
export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** Runs a program to its end and returns what it said, whatever its exit code; one that can't start has exit code 127. */
export function tryCommand(program: string, args: string[], options: CommandOptions): Promise<CommandResult> {
  return new Promise((done) => {
    const started = Date.now();
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: options.env,
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(options.timeoutMs === undefined ? {} : { timeout: options.timeoutMs, killSignal: 'SIGKILL' as const }),
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout = (stdout + text).slice(-keptOutputBytes)));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(-keptOutputBytes)));
    const heartbeat = setInterval(() => {
      if (options.progress) options.log?.(`${options.progress} … ${Math.round((Date.now() - started) / 1000)} s`);
    }, heartbeatMs);
    child.on('error', (error) => {
      clearInterval(heartbeat);
      done({ exitCode: 127, stdout, stderr: stderr + error.message });
    });
    child.on('close', (code, signal) => {
      clearInterval(heartbeat);
      done({ exitCode: code ?? 128, stdout, stderr: signal ? `${stderr}\nended by ${signal}` : stderr });
    });
  });
}

/** Runs a program to its end; throws CommandError with the last lines of its output when it fails. */
export async function runCommand(program: string, args: string[], options: CommandOptions): Promise<CommandResult> {
  const result = await tryCommand(program, args, options);
  if (result.exitCode === 0) return result;
  const said = `${result.stdout}\n${result.stderr}`.trim().split('\n').slice(-12).join('\n');
  throw new CommandError(`${program} ${args.slice(0, 4).join(' ')} … ended with exit code ${result.exitCode}:\n${said}`);
}
