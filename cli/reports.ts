// Reports of finished runs, read from the store alone: no server has to run for them.
import { openStore, type ArtifactStore } from '../data/artifactStore.ts';
import { UserError } from '../schemas/errors.ts';
import { report as reportSchema, type Report } from '../schemas/report.ts';

export interface FoundReport {
  report: Report;
  /** Path in the store. */
  path: string;
  writtenAt: Date;
}

/**
 * The reports of a store, the newest first.
 *
 * @throws UserError when one is malformed.
 */
export async function listReports(store: ArtifactStore): Promise<FoundReport[]> {
  const objects = (await store.list('runs/')).filter(({ path }) => path.endsWith('/report.json'));
  const found = await Promise.all(objects.map(async ({ path, modifiedAt }) => ({ report: await readReport(store, path), path, writtenAt: modifiedAt })));
  return found.sort((a, b) => b.writtenAt.getTime() - a.writtenAt.getTime());
}

/**
 * The report of the run a person means: a workflow id, `name/hash`, a name (its newest), or nothing (the newest of all).
 *
 * @throws UserError when the store has none such.
 */
export async function findReport(storeUri: string, run?: string): Promise<FoundReport> {
  const reports = await listReports(openStore(storeUri));
  const id = run?.replace(/^saeflow\//, '');
  const [name, hash = ''] = id?.split('/') ?? [];
  const found = reports.find(({ report }) => name === undefined || (report.run === name && report.configHash.startsWith(hash)) || report.workflowId === `saeflow/${id}`);
  if (found !== undefined) return found;
  const known = [...new Set(reports.map(({ report }) => report.run))];
  throw new UserError(
    run === undefined ? `no run has finished in the store ${storeUri}` : `no finished run "${run}" is in the store ${storeUri}`,
    known.length === 0 ? 'Start one with saeflow demo, name the store with --store, or see with saeflow status how far a run is.' : `Finished there: ${known.join(', ')}. saeflow status says how far others are.`,
  );
}

/** The folder of a store that is a directory of this machine, else undefined. */
export function storeFolder(store: ArtifactStore): string | undefined {
  return store.uri.startsWith('/') ? store.uri : store.uri.startsWith('file://') ? new URL(store.uri).pathname : undefined;
}

async function readReport(store: ArtifactStore, path: string): Promise<Report> {
  const text = Buffer.from(await store.get(path)).toString();
  const parsed = reportSchema.safeParse(parseJson(text));
  if (!parsed.success) throw new UserError(`${store.uri}/${path} is malformed: ${parsed.error.issues[0]?.path.join('.')}: ${parsed.error.issues[0]?.message}`, 'Run the same configuration again: its report is written anew.');
  return parsed.data;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
