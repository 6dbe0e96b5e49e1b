// A corpus by its content: names and hashes of its files make its key, and the list that says where they lie is kept in
// the store for the stage that reads them.
import { createHash } from 'node:crypto';
import { resolveCorpusFiles } from '../data/corpusFiles.ts';
import { corpusPath } from '../data/plans.ts';
import { canonicalJson } from '../schemas/keys.ts';
import type { CorpusConfig } from '../schemas/config.ts';
import type { ActivityDeps } from './deps.ts';

/** What Temporal carries of a corpus. */
export interface CorpusRef {
  key: string;
  bytes: number;
  files: number;
}

/**
 * Finds and hashes the files of `paths`, and writes their list.
 *
 * @throws UserError when a pattern matches nothing, or a file can't be read or has another format.
 */
export async function resolveCorpus({ store, cwd }: Pick<ActivityDeps, 'store' | 'cwd'>, { paths }: CorpusConfig): Promise<CorpusRef> {
  const files = await resolveCorpusFiles(paths, cwd);
  const key = createHash('sha256').update(canonicalJson(files.map(({ name, sha256 }) => [name, sha256]))).digest('hex');
  // Replaced, not kept: the same files may have moved since.
  await store.put(corpusPath(key), Buffer.from(`${JSON.stringify(files, null, 2)}\n`));
  return { key, bytes: files.reduce((sum, { bytes }) => sum + bytes, 0), files: files.length };
}
