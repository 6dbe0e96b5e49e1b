// What a soak looks at: the resident memory of every process of a run, found by the state folder in its environment, and
// the bytes of a folder. Linux only, as /proc is.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** What a process's command line says it is; the first that fits. */
const roles: [role: string, pattern: RegExp][] = [
  ['compute process', /compute\.ts/],
  ['Temporal server', /temporal\S*\0server\0start-dev/],
  ['worker', /workers\/main\.ts/],
  ['command', /saeflow\.mjs|cli\/main/],
];

export interface SoakSample {
  /** Since the first sample. */
  seconds: number;
  /** By role; of several processes of one the sum. */
  residentBytes: Record<string, number>;
  diskBytes: number;
  /** Of the disk's, in shards of activations. */
  activationBytes: number;
}

interface FoundProcess {
  pid: number;
  role: string;
  residentBytes: number;
  peakBytes: number;
}

export class SoakProbe {
  readonly samples: SoakSample[] = [];
  /** Peak resident bytes of one process, by role. */
  readonly peaks = new Map<string, number>();
  private readonly folder: string;
  private readonly state: string;
  private readonly startedMs = performance.now();

  /** `folder`: its bytes are counted; `state`: the run's SAEFLOW_STATE_DIR. */
  constructor(folder: string, state: string) {
    this.folder = folder;
    this.state = state;
  }

  async sample(): Promise<SoakSample> {
    const residentBytes: Record<string, number> = {};
    for (const { role, residentBytes: now, peakBytes } of this.processes()) {
      residentBytes[role] = (residentBytes[role] ?? 0) + now;
      this.peaks.set(role, Math.max(this.peaks.get(role) ?? 0, peakBytes));
    }
    const { bytes: diskBytes, activations: activationBytes } = await bytesIn(this.folder);
    const sample = { seconds: (performance.now() - this.startedMs) / 1_000, residentBytes, diskBytes, activationBytes };
    this.samples.push(sample);
    return sample;
  }

  /** Kills one process of a role with SIGKILL; false where there is none. */
  kill(role: string): boolean {
    const victim = this.processes().find((found) => found.role === role);
    return victim !== undefined && process.kill(victim.pid, 'SIGKILL');
  }

  describe({ residentBytes }: SoakSample): string {
    return Object.entries(residentBytes).map(([role, bytes]) => `${role} ${Math.round(bytes / 1e6)} MB`).join(', ');
  }

  corpusBytes(path: string): number {
    return statSync(path).size;
  }

  private processes(): FoundProcess[] {
    return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).flatMap((pid) => {
      try {
        if (!readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`SAEFLOW_STATE_DIR=${this.state}\0`)) return [];
        const commandLine = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
        const role = roles.find(([, pattern]) => pattern.test(commandLine))?.[0];
        const status = readFileSync(`/proc/${pid}/status`, 'utf8');
        const kilobytes = (name: string) => Number(new RegExp(`^${name}:\\s*(\\d+) kB`, 'm').exec(status)?.[1] ?? 0);
        return role === undefined ? [] : [{ pid: Number(pid), role, residentBytes: kilobytes('VmRSS') * 1_024, peakBytes: kilobytes('VmHWM') * 1_024 }];
      } catch {
        // It ended meanwhile, or is somebody else's.
        return [];
      }
    });
  }
}

async function bytesIn(folder: string): Promise<{ bytes: number; activations: number }> {
  const sum = { bytes: 0, activations: 0 };
  for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
    const path = join(folder, entry.name);
    const inside = entry.isDirectory() ? await bytesIn(path) : await stat(path).then(({ size }) => ({ bytes: size, activations: path.includes('/sampleActivations/') ? size : 0 }), () => ({ bytes: 0, activations: 0 }));
    sum.bytes += inside.bytes;
    sum.activations += inside.activations;
  }
  return sum;
}
