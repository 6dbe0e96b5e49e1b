// Where labels lie: beside the artifacts, since they come after a dashboard and from elsewhere, and must change no hash of
// one. The page finds them as site/data/labels.json: saeflow's server and saeflow publish lay them over the empty one there.
import { featureLabels, type FeatureLabels } from '../schemas/dashboard.ts';
import { NotFoundError, type ArtifactStore } from './artifactStore.ts';

/** The labels of a dashboard, by the key of its exportDashboard artifact. */
export function labelsPath(dashboard: string): string {
  return `labels/${dashboard}.json`;
}

export async function readLabels(store: ArtifactStore, dashboard: string): Promise<FeatureLabels | null> {
  try {
    return featureLabels.parse(JSON.parse(Buffer.from(await store.get(labelsPath(dashboard))).toString()));
  } catch (error) {
    if (error instanceof NotFoundError) return null;
    throw error;
  }
}

/** Adds labels to those that are there; a feature's new one replaces its old one. */
export async function addLabels(store: ArtifactStore, dashboard: string, { model, labels }: FeatureLabels): Promise<void> {
  const before = (await readLabels(store, dashboard))?.labels ?? [];
  const byFeature = new Map([...before, ...labels].map((label) => [label.feature, label]));
  const all = [...byFeature.values()].sort((a, b) => a.feature - b.feature);
  await store.put(labelsPath(dashboard), Buffer.from(JSON.stringify(featureLabels.parse({ model, labels: all }))));
}
