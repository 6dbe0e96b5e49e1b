// The files of a Hugging Face dataset, listed at one commit: a branch may move while a run reads, a commit can't. The
// listing gives sizes and, for large files, SHA-256, so that a corpus of terabytes is named without reading it.
import picomatch from 'picomatch';
import { z } from 'zod';
import { UserError } from '../schemas/errors.ts';
import { askHub, hubEndpoint, normalTag } from './hubClient.ts';
import { hubUri, parseHubUri, type HubLocation } from './hubUri.ts';
import { ChangedContent, RemoteTrouble, unlessIdle, withPatience, type Patience } from './patience.ts';

/** A file of a dataset at a commit. */
export interface HubFile {
  /** hf://datasets/OWNER/NAME@COMMIT/PATH */
  readonly uri: string;
  readonly repo: string;
  readonly path: string;
  readonly bytes: number;
  /** Of large files; small ones are in git itself, which keeps another hash. */
  readonly sha256: string | undefined;
  /** What the hub tags the content with: the SHA-256, or the git blob id. */
  readonly tag: string;
}

const commit = z.object({ sha: z.string().regex(/^[0-9a-f]{40}$/) });
const size = z.int().nonnegative();
const entry = z.object({
  type: z.string(),
  path: z.string(),
  size,
  oid: z.string(),
  lfs: z.object({ oid: z.string().regex(/^(sha256:)?[0-9a-f]{64}$/), size }).optional(),
});
const formats = ['parquet', 'jsonl', 'txt'] as const;

/**
 * The files that `uri` names, at the commit its revision is now at. A path may be a pattern or a file; a folder, or no
 * path, stands for its Parquet files, or else its .jsonl, or else its .txt files.
 *
 * @throws UserError if nothing is named, found or permitted; RemoteTrouble when the hub can't be reached for long.
 * @example
 * const files = await listHubFiles('hf://datasets/HuggingFaceFW/fineweb@main/sample/10BT/*.parquet', defaultPatience);
 */
export async function listHubFiles(uri: string, patience: Patience): Promise<HubFile[]> {
  const asked = parseHubUri(uri);
  const api = `${hubEndpoint()}/api/datasets/${asked.repo}`;
  const { body } = await getJson(`${api}/revision/${encodeURIComponent(asked.revision)}`, asked, commit, patience);
  const pinned = { ...asked, revision: body.sha };
  const folder = folderOf(asked.path);
  const all: HubFile[] = [];
  let next: string | undefined = `${api}/tree/${body.sha}${folder === '' ? '' : `/${encodePath(folder)}`}?recursive=true&expand=false`;
  while (next !== undefined) {
    const page: JsonPage<z.infer<typeof entry>[]> = await getJson(next, { ...pinned, path: folder }, entry.array(), patience);
    all.push(...page.body.filter(({ type }) => type === 'file').map((file) => toHubFile(pinned, file)));
    next = page.next;
  }
  const chosen = choose(all, asked.path);
  if (chosen.length > 0) return chosen;
  throw new UserError(
    `corpus.paths: "${uri}" matches no .parquet, .jsonl or .txt file of the dataset at ${body.sha}`,
    asked.revision === 'refs/convert/parquet' ? `Look at ${hubEndpoint()}/datasets/${asked.repo}/tree/refs%2Fconvert%2Fparquet.` : `Check the pattern, or use the hub's converted Parquet files: hf://datasets/${asked.repo}@~parquet (of a dataset above 5 GB they may be a part only).`,
  );
}

/**
 * Bytes of a file from an offset to its end, or to `end`; may break off.
 *
 * @param tag of the listing: a file that the hub now tags otherwise is not read.
 * @throws UserError as askHub; ChangedContent; RemoteTrouble.
 */
export async function openHubFile(uri: string, file: { readonly bytes: number; readonly tag: string | null }, start: number, end: number, idleMs: number): Promise<AsyncIterable<Uint8Array>> {
  const about = parseHubUri(uri);
  const url = `${hubEndpoint()}/datasets/${about.repo}/resolve/${about.revision}/${encodePath(about.path)}`;
  const { response, tag, stop } = await askHub(url, about, idleMs, { range: `bytes=${start}-${end - 1}` });
  const isComparable = tag !== undefined && file.tag !== null && tag.length === file.tag.length;
  const total = totalBytes(response);
  if ((isComparable && tag !== file.tag) || (total !== undefined && total !== file.bytes)) {
    stop();
    throw new ChangedContent(`${uri} is not what it was when the run began: ${isComparable && tag !== file.tag ? `tagged ${tag}, not ${file.tag}` : `${total} bytes, not ${file.bytes}`}`);
  }
  const skipped = response.status === 206 ? start - rangeStart(response) : start;
  if (response.body === null || skipped < 0) {
    stop();
    throw new RemoteTrouble(`${uri}: asked for byte ${start}, answered ${response.headers.get('content-range') ?? 'without a body'}`);
  }
  return skipBytes(unlessIdle(response.body as unknown as AsyncIterable<Uint8Array>, idleMs, stop), skipped);
}

interface JsonPage<T> {
  body: T;
  next: string | undefined;
}

async function getJson<T>(url: string, about: HubLocation, schema: z.ZodType<T>, patience: Patience): Promise<JsonPage<T>> {
  return withPatience(patience, async () => {
    const { response, stop } = await askHub(url, about, patience.idleMs);
    const chunks: Uint8Array[] = [];
    try {
      for await (const chunk of unlessIdle((response.body ?? []) as unknown as AsyncIterable<Uint8Array>, patience.idleMs, stop)) chunks.push(chunk);
      const body = schema.parse(JSON.parse(Buffer.concat(chunks).toString()));
      const [, next] = /<([^>]+)>;\s*rel="?next"?/.exec(response.headers.get('link') ?? '') ?? [];
      return { body, next: next === undefined ? undefined : new URL(next, url).href };
    } catch (cause) {
      throw new RemoteTrouble(`${hubUri(about)}: the hub's answer can't be read: ${cause instanceof z.ZodError ? z.prettifyError(cause) : String(cause)}`, { cause });
    }
  });
}

/** What must be listed for a pattern: the folder before its first wildcard; of a plain path, the folder it is in. */
function folderOf(path: string): string {
  const { base, isGlob } = picomatch.scan(path);
  if (isGlob) return base;
  return path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '';
}

function choose(all: readonly HubFile[], path: string): HubFile[] {
  const exact = all.filter((file) => file.path === path);
  if (exact.length > 0) return exact;
  const inFolder = all.filter((file) => path === '' || file.path.startsWith(`${path}/`));
  for (const format of formats) {
    const files = inFolder.filter((file) => new RegExp(`\\.${format}(\\.(gz|zst))?$`, 'i').test(file.path));
    if (files.length > 0) return files;
  }
  const matches = path === '' ? () => false : picomatch(path);
  return all.filter((file) => matches(file.path));
}

function toHubFile({ repo, revision }: HubLocation, { path, size: bytes, oid, lfs }: z.infer<typeof entry>): HubFile {
  const sha256 = lfs?.oid.replace('sha256:', '');
  return { uri: hubUri({ repo, revision, path }), repo, path, bytes: lfs?.size ?? bytes, sha256, tag: sha256 ?? (normalTag(oid) as string) };
}

function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}

function totalBytes(response: Response): number | undefined {
  const [, total] = /\/(\d+)$/.exec(response.headers.get('content-range') ?? '') ?? [];
  if (total !== undefined) return Number(total);
  const length = response.headers.get('content-length');
  return response.status === 200 && length !== null ? Number(length) : undefined;
}

function rangeStart(response: Response): number {
  const [, start] = /^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '') ?? [];
  return start === undefined ? NaN : Number(start);
}

/** For a host that answers a range with the whole. */
async function* skipBytes(body: AsyncIterable<Uint8Array>, count: number): AsyncGenerator<Uint8Array> {
  let left = count;
  for await (const chunk of body) {
    if (left < chunk.length) yield chunk.subarray(left);
    left = Math.max(0, left - chunk.length);
  }
}
