// The artifacts a person means: those of a finished run, or one by stage and the beginning of its key.
import { openStore } from '../data/artifactStore.ts';
import { UserError } from '../schemas/errors.ts';
import { artifactId, stageNames, type ArtifactId } from '../schemas/stages.ts';
import { findReport } from './reports.ts';

/**
 * The artifacts of `<stage>/<beginning of a key>` (one), of a run, or of the newest run.
 *
 * @throws UserError when there is no such run, or not exactly one such artifact.
 */
export async function findArtifacts(uri: string, what: string | undefined): Promise<ArtifactId[]> {
  const [first = '', prefix = ''] = what?.split('/') ?? [];
  const stage = stageNames.find((name) => name === first);
  if (stage === undefined) {
    const { report } = await findReport(uri, what);
    return report.stages.map(({ name, key }) => ({ stage: name, key }));
  }
  const keys = new Set((await openStore(uri).list(`${stage}/${prefix}`)).map(({ path }) => path.split('/')[1]));
  const matching = [...keys].map((key) => artifactId.safeParse({ stage, key }).data).filter((id) => id !== undefined);
  if (matching.length === 1) return matching;
  throw new UserError(`${what}: ${matching.length === 0 ? 'no such artifact' : `${matching.length} artifacts begin so`} in ${uri}`, 'Give <stage>/<key> as saeflow status and report.json name them.');
}
