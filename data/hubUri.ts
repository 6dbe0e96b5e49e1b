// Names of Hugging Face datasets, in the form that huggingface's own tools, DuckDB and polars read:
// hf://datasets/OWNER/NAME[@REVISION][/PATH OR PATTERN]. A revision is a branch, a tag, a commit, refs/convert/parquet
// or refs/pr/N; `~parquet` is short for the branch of automatically converted Parquet files.
import { UserError } from '../schemas/errors.ts';

export const hubScheme = 'hf://';

/** Files of a dataset repository at a revision. */
export interface HubLocation {
  /** OWNER/NAME */
  readonly repo: string;
  readonly revision: string;
  /** Path or pattern in the repository; '' is all of it. */
  readonly path: string;
}

const dataset = /^hf:\/\/datasets\/([\w.-]+\/[\w.-]+?)(?:@(refs\/(?:convert|pr)\/[^/]+|[^/]+))?(?:\/(.*))?$/;

/**
 * @throws UserError if `uri` names no dataset.
 * @example
 * parseHubUri('hf://datasets/Skylion007/openwebtext@~parquet').revision; // 'refs/convert/parquet'
 */
export function parseHubUri(uri: string): HubLocation {
  const [, repo, revision = 'main', path = ''] = dataset.exec(uri) ?? [];
  if (repo === undefined) {
    throw new UserError(`corpus.paths: "${uri}" names no dataset of the Hugging Face hub`, 'Write hf://datasets/OWNER/NAME, with @REVISION and /PATTERN after it if wanted, such as hf://datasets/Skylion007/openwebtext@main/plain_text/*.parquet.');
  }
  return { repo, revision: revision === '~parquet' ? 'refs/convert/parquet' : decodeURIComponent(revision), path: path.replace(/\/+$/, '') };
}

/** The inverse of parseHubUri. */
export function hubUri({ repo, revision, path }: HubLocation): string {
  const written = /^refs\/(convert|pr)\/[^/]+$/.test(revision) ? revision : encodeURIComponent(revision);
  return `${hubScheme}datasets/${repo}@${written}${path === '' ? '' : `/${path}`}`;
}
