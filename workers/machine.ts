// Who made an artifact: the machine's name and the version of the code, for manifests.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { arch, cpus, hostname, platform } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Machine } from '../activities/deps.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Names this code among the builds of a fleet: `0.1.0-65e06bd6e4f7`, ending in `-dirty` where files were changed. */
export function codeBuildId(): string {
  return describeMachine().codeVersion.replace(/^saeflow /, '').replace(/ \((.*)\)$/, '-$1');
}

/** `saeflow 0.1.0 (65e06bd)` on `host (linux x64, 8 × AMD EPYC …)`; outside a git clone the version alone. */
export function describeMachine(): Machine {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };
  const processors = cpus();
  return {
    codeVersion: `saeflow ${version}${commit()}`,
    machine: `${hostname()} (${platform()} ${arch()}, ${processors.length} × ${processors[0]?.model.trim() ?? 'unknown processor'})`,
  };
}

function commit(): string {
  try {
    return ` (${execFileSync('git', ['describe', '--always', '--dirty', '--abbrev=12'], { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()})`;
  } catch {
    return '';
  }
}
