// Which run a run is compared with: the last report of its name in the store. Temporal offers a scheduled workflow its
// schedule's last result too, but only the store knows the runs that a person started in between, outlives a deleted
// schedule and a lost server, and holds the very SAEs that are to be compared.
import type { PreviousRun } from '../schemas/comparison.ts';
import { UserError } from '../schemas/errors.ts';
import { report as reportSchema, type Report } from '../schemas/report.ts';
import type { ArtifactStore } from './artifactStore.ts';

/**
 * The run of that name that was published last, whatever its configuration; null when there is none. Reports from before
 * they said when they were finished count as the oldest.
 *
 * @throws UserError when a report of that name is malformed.
 */
export async function findPreviousRun(store: ArtifactStore, run: string): Promise<PreviousRun | null> {
  const listed = await store.list(`runs/${run}-`);
  const reports: Report[] = [];
  for (const { path } of listed) {
    // run "a" also lists those of run "a-b"
    if (/^-[0-9a-f]{12}\/report\.json$/.test(path.slice(`runs/${run}`.length))) reports.push(await readReport(store, path));
  }
  const latest = reports.sort((a, b) => ((a.finishedAt ?? '') < (b.finishedAt ?? '') ? 1 : -1))[0];
  return latest === undefined ? null : previousOf(latest);
}

function previousOf({ configHash, workflowId, finishedAt, stages, saes }: Report): PreviousRun {
  const dashboards = stages.filter(({ name }) => name === 'exportDashboard');
  return {
    configHash,
    ...(workflowId === undefined ? {} : { workflowId }),
    ...(finishedAt === undefined ? {} : { finishedAt }),
    stages: stages.map(({ name, key }) => ({ stage: name, key })),
    saes: saes.map(({ name }, index) => ({ name, dashboard: dashboards[index]!.key })),
  };
}

async function readReport(store: ArtifactStore, path: string): Promise<Report> {
  try {
    return reportSchema.parse(JSON.parse(Buffer.from(await store.get(path)).toString()));
  } catch (error) {
    throw new UserError(`${store.uri}/${path} is malformed: ${error instanceof Error ? error.message : String(error)}`, 'Delete it, or run its configuration again: the report is written anew.', { cause: error });
  }
}
