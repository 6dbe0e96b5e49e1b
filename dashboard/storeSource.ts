// A dashboard served out of an artifact store, wherever that is: a bucket's site opens at once, since nothing is copied
// first. Labels, which are made after a dashboard and are no part of its artifact, are laid over it.
import { createHash } from 'node:crypto';
import { NotFoundError, type ArtifactStore } from '../data/artifactStore.ts';
import { labelsPath } from '../data/labels.ts';
import type { SiteFile, SiteSource } from './siteSource.ts';

/** Bytes asked of the store at once. */
const pieceBytes = 8 * 2 ** 20;

/** The files of the site at `site`, such as `exportDashboard/<key>/site`. */
export function storeSource(store: ArtifactStore, site: string): SiteSource {
  return {
    async find(name) {
      const path = `${site}/${name}`;
      if (name === 'data/labels.json') return (await wholeFile(store, labelsPath(site.split('/')[1]!))) ?? wholeFile(store, path);
      if (!name.startsWith('data/')) return wholeFile(store, path);
      const bytes = await sizeOf(store, path);
      // An artifact's files never change: its key is their version.
      return bytes === undefined ? undefined : { bytes, version: `${site.split('/')[1]!.slice(0, 16)}-${bytes.toString(36)}`, read: (start, length) => pieces(store, path, start, length) };
    },
  };
}

/** What may be written anew, page and labels: read whole, so that size and content are of one version. */
async function wholeFile(store: ArtifactStore, path: string): Promise<SiteFile | undefined> {
  if ((await sizeOf(store, path)) === undefined) return undefined;
  const content = await store.get(path);
  const version = createHash('sha256').update(content).digest('hex').slice(0, 16);
  return { bytes: content.length, version, read: (start, length) => once(content.subarray(start, start + length)) };
}

async function sizeOf(store: ArtifactStore, path: string): Promise<number | undefined> {
  try {
    return await store.size(path);
  } catch (error) {
    // A TypeError is a name that no object can have.
    if (error instanceof NotFoundError || error instanceof TypeError) return undefined;
    throw error;
  }
}

async function* pieces(store: ArtifactStore, path: string, start: number, length: number): AsyncGenerator<Uint8Array> {
  for (let at = start; at < start + length; at += pieceBytes) yield await store.range(path, at, Math.min(pieceBytes, start + length - at));
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
