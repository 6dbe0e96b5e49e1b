// A dashboard put where others can open it: a folder, or a bucket that serves files. Data goes first and index.html last,
// and a record of what was written says what need not be sent again and what may be deleted: nothing else.
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { NotFoundError, openStore, type ArtifactStore } from '../data/artifactStore.ts';
import { connect } from '../data/s3Store.ts';
import { mimeType } from '../dashboard/mimeTypes.ts';
import { UserError } from '../schemas/errors.ts';

/** Where a dashboard is published to. */
interface Target {
  store: ArtifactStore;
  put(path: string, bytes: Uint8Array): Promise<void>;
}

export interface Published {
  sent: number;
  unchanged: number;
  deleted: number;
  /** Of the files that were sent. */
  bytes: number;
}

const recordName = 'saeflow-published.json';
/** SHA-256 of each file that was written there; null while it is being replaced. */
const publishedRecord = z.strictObject({ files: z.record(z.string(), z.string().nullable()) });
type Files = z.infer<typeof publishedRecord>['files'];

const sentAtOnce = 16;
/** Page and data of a later publication have the same names: a browser asks whether its copy is current. */
const cacheControl = 'no-cache';

/**
 * Writes a site's files to `uri`; those that are there already are not sent again.
 *
 * @param site files of the dashboard by name, each read when it is its turn.
 * @throws UserError when `uri` is no place to write to.
 */
export async function publishSite(site: ReadonlyMap<string, () => Promise<Uint8Array>>, uri: string): Promise<Published> {
  const target = await openTarget(uri);
  const before = await readRecord(target.store, uri);
  const there = new Map((await target.store.list('')).map(({ path, bytes }) => [path, bytes]));
  const names = [...site.keys()].sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
  const result: Published = { sent: 0, unchanged: 0, deleted: 0, bytes: 0 };

  const current: Files = { ...before };
  const changed: string[] = [];
  await inGroups(names, async (name) => {
    const bytes = await site.get(name)!();
    if (before[name] === sha256(bytes) && there.get(name) === bytes.length) result.unchanged++;
    else changed.push(name);
  });
  changed.sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
  // Said before anything is overwritten: whoever publishes after a broken attempt sends these files again.
  for (const name of changed) current[name] = null;
  if (changed.length > 0) await writeRecord(target, current);

  for (const group of [0, 1, 2]) {
    await inGroups(changed.filter((name) => rank(name) === group), async (name) => {
      const bytes = await site.get(name)!();
      await target.put(name, bytes);
      current[name] = sha256(bytes);
      result.sent++;
      result.bytes += bytes.length;
    });
  }
  const stale = Object.keys(before).filter((name) => !site.has(name));
  await inGroups(stale, async (name) => {
    await target.store.delete(name);
    delete current[name];
    result.deleted++;
  });
  if (changed.length > 0 || stale.length > 0) await writeRecord(target, current);
  return result;
}

/** Data, then what the page is made of, then the page. */
function rank(name: string): number {
  return name === 'index.html' ? 2 : name.startsWith('data/') ? 0 : 1;
}

async function openTarget(uri: string): Promise<Target> {
  const store = openStore(uri);
  if (!uri.startsWith('s3://')) return { store, put: async (path, bytes) => void (await store.put(path, bytes)) };
  const { sdk, client } = await connect();
  const [, bucket, prefix = ''] = /^s3:\/\/([^/]+)\/?(.*?)\/*$/.exec(uri)!;
  return {
    store,
    async put(path, bytes) {
      const Key = prefix === '' ? path : `${prefix}/${path}`;
      await client.send(new sdk.PutObjectCommand({ Bucket: bucket!, Key, Body: bytes, ContentType: mimeType(path), CacheControl: cacheControl }));
    },
  };
}

async function readRecord(store: ArtifactStore, uri: string): Promise<Files> {
  try {
    return publishedRecord.parse(JSON.parse(Buffer.from(await store.get(recordName)).toString())).files;
  } catch (error) {
    if (error instanceof NotFoundError) return {};
    if (error instanceof SyntaxError || error instanceof z.ZodError) throw new UserError(`${uri}/${recordName} is not what saeflow publish writes`, 'Delete it, and everything is sent again; or publish somewhere else.', { cause: error });
    throw error;
  }
}

async function writeRecord({ put }: Target, files: Files): Promise<void> {
  const sorted = Object.fromEntries(Object.entries(files).sort(([a], [b]) => (a < b ? -1 : 1)));
  await put(recordName, Buffer.from(JSON.stringify({ files: sorted })));
}

async function inGroups(names: readonly string[], work: (name: string) => Promise<void>): Promise<void> {
  for (let at = 0; at < names.length; at += sentAtOnce) await Promise.all(names.slice(at, at + sentAtOnce).map(work));
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
