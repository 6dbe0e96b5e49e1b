// What is not what was written, among the artifacts a person means, and what was made from it: found for `verify`, which
// tells it, and for `repair`, which mends it.
import { artifactPath, isConsumed, verifyArtifact, type VerificationProblem } from '../data/artifact.ts';
import type { ArtifactStore } from '../data/artifactStore.ts';
import { descendantsOf } from '../data/descendants.ts';
import { absentShards } from '../data/shardFiles.ts';
import { stageNames, type ArtifactId } from '../schemas/stages.ts';
import { listReports } from './reports.ts';

export interface DamagedArtifact {
  artifact: ArtifactId;
  problems: VerificationProblem[];
}

/** Re-hashes the artifacts of a run, or one with all it was made from; returns the damaged ones, the earliest stage first. */
export async function findDamage(store: ArtifactStore, artifacts: readonly ArtifactId[], say: (line: string) => void): Promise<DamagedArtifact[]> {
  const damaged = new Map<string, DamagedArtifact>();
  const alone = artifacts.length === 1;
  for (const artifact of artifacts) {
    const found = await verifyArtifact(store, artifact, { ancestors: alone });
    say(`${found.length === 0 ? 'ok     ' : 'DAMAGED'}  ${nameOf(artifact)}${alone ? ' and what it was made from' : ''}${await describeConsumed(store, artifact)}`);
    for (const problem of found) {
      const group = damaged.get(nameOf(problem.artifact)) ?? { artifact: problem.artifact, problems: [] };
      group.problems.push(problem);
      damaged.set(nameOf(problem.artifact), group);
    }
  }
  const order = ({ artifact }: DamagedArtifact) => stageNames.indexOf(artifact.stage);
  return [...damaged.values()].sort((a, b) => order(a) - order(b));
}

/** Shards that were deleted when they had been read are no damage. */
async function describeConsumed(store: ArtifactStore, artifact: ArtifactId): Promise<string> {
  if (artifact.stage !== 'sampleActivations' || !(await isConsumed(store, artifact))) return '';
  const absent = await absentShards(store, artifact);
  return absent === 0 ? '' : ` (${absent} shards were consumed: deleted when they had been read, made again when they are asked for)`;
}

/** A line for each damaged file, and for each artifact those that were made from it and the runs they belong to. */
export async function describeDamage(store: ArtifactStore, damaged: readonly DamagedArtifact[]): Promise<string[]> {
  const lines: string[] = [];
  for (const { artifact, problems } of damaged) {
    lines.push(...problems.map(({ path, expected, found }) => `${store.uri}/${path}: ${expected} expected, ${found} found`));
    const descendants = await descendantsOf(store, [artifact]);
    if (descendants.length === 0) lines.push(`  nothing in the store was made from ${nameOf(artifact)}`);
    else lines.push(`  made from ${nameOf(artifact)}:`, ...descendants.map((id) => `    ${nameOf(id)}`));
    const runs = await runsOf(store, artifact);
    if (runs.length > 0) lines.push(`  part of the runs ${runs.join(', ')}`);
  }
  return lines;
}

export function nameOf(id: ArtifactId): string {
  return artifactPath(id, '').slice(0, -1);
}

async function runsOf(store: ArtifactStore, { stage, key }: ArtifactId): Promise<string[]> {
  const reports = await listReports(store);
  return reports.filter(({ report }) => report.stages.some((one) => one.name === stage && one.key === key)).map(({ report }) => `${report.run}/${report.configHash.slice(0, 12)}`);
}
