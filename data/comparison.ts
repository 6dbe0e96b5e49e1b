// Comparisons of two SAEs in the store: comparisons/<key>/, where the key is made of what is compared and how. As with a
// manifest, comparison.json is written last and only if absent.
import { createHash } from 'node:crypto';
import { comparisonVersion, featureMatches, matchThreshold, saeComparison, type ComparedKeys, type FeatureMatches, type SaeComparison } from '../schemas/comparison.ts';
import { UserError } from '../schemas/errors.ts';
import { canonicalJson } from '../schemas/keys.ts';
import { NotFoundError, type ArtifactStore } from './artifactStore.ts';

/** SHA-256 of the canonical JSON of both dashboards' keys, the threshold and the version of the comparison. */
export function comparisonKey({ before, after }: ComparedKeys): string {
  return createHash('sha256').update(canonicalJson({ comparison: comparisonVersion, threshold: matchThreshold, before, after })).digest('hex');
}

/** The path in the store of a file of a comparison. */
export function comparisonPath(key: string, file: 'comparison.json' | 'features.json'): string {
  return `comparisons/${key}/${file}`;
}

/** The comparison, or null while there is none. Throws UserError when it is malformed. */
export async function readComparison(store: ArtifactStore, key: string): Promise<SaeComparison | null> {
  const path = comparisonPath(key, 'comparison.json');
  try {
    return saeComparison.parse(JSON.parse(Buffer.from(await store.get(path)).toString()));
  } catch (error) {
    if (error instanceof NotFoundError) return null;
    throw new UserError(`${store.uri}/${path} is malformed: ${error instanceof Error ? error.message : String(error)}`, 'Delete it: the next run makes it anew.', { cause: error });
  }
}

/** Writes a comparison, its matches first where there are any. Equal inputs give equal bytes; the first one stands. */
export async function writeComparison(store: ArtifactStore, comparison: SaeComparison, matches: FeatureMatches | null): Promise<void> {
  const { key } = comparison;
  if (matches !== null) await store.putIfAbsent(comparisonPath(key, 'features.json'), Buffer.from(`${JSON.stringify(featureMatches.parse(matches))}\n`));
  await store.putIfAbsent(comparisonPath(key, 'comparison.json'), Buffer.from(`${JSON.stringify(saeComparison.parse(comparison), null, 2)}\n`));
}
