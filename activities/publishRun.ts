// The last step of a run: its report, and the dashboard's page beside the data that exportDashboard wrote. Neither is
// part of an artifact: a report says what was found in the store, and a page can be newer than the data it shows.
import { artifactPath } from '../data/artifact.ts';
import type { ArtifactStore } from '../data/artifactStore.ts';
import { buildReport, reportPath, type FinishedRun } from '../data/report.ts';
import { buildPage } from '../dashboard/buildPage.ts';

/** Writes report.json to the run's folder and into each of its dashboards. Safe to repeat. */
export async function publishRun(store: ArtifactStore, finished: FinishedRun): Promise<{ reportUri: string }> {
  const report = await buildReport(store, finished);
  const bytes = Buffer.from(`${JSON.stringify(report, null, 2)}\n`);
  const page = await buildPage();
  for (const { artifact } of finished.stages) {
    if (artifact.stage !== 'exportDashboard') continue;
    for (const file of [...page, { path: 'report.json', bytes }]) await store.put(artifactPath(artifact, `site/${file.path}`), file.bytes);
  }
  const path = reportPath(finished.run, finished.configHash);
  await store.put(path, bytes);
  return { reportUri: `${store.uri}/${path}` };
}
