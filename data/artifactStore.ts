// The one place where results live. Everything durable goes through this small interface, so that a laptop's folder and
// a cluster's bucket behave alike; a shared contract test (test/data/storeContract.ts) holds both implementations to it.
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { UserError } from '../schemas/errors.ts';
import { DirectoryStore } from './directoryStore.ts';
import { S3Store } from './s3Store.ts';

export { NotFoundError } from './storePath.ts';

/** What was stored: SHA-256 in hexadecimal, and how many bytes. */
export interface Stored {
  sha256: string;
  bytes: number;
}

/** An object of a listing: its name from the store's root, its size, and when it was written. */
export interface ListedObject {
  path: string;
  bytes: number;
  modifiedAt: Date;
}

/** A write that has not ended: its writer is at it, or died. No reader sees it, and it is no object. */
export interface UnfinishedWrite {
  /** Where it lies: a temporary file of a folder, or on S3 the name the object was to have. */
  path: string;
  bytes: number;
  /** Last written to; on S3, begun. */
  modifiedAt: Date;
  /** Tells several writes of one name apart on S3; '' in a folder, where each has a name of its own. */
  uploadId: string;
}

/**
 * Named byte objects. A reader sees all of an object or none of it, whatever happens to its writer. Methods that read
 * throw NotFoundError for an object that isn't there, and TypeError for a path that leads out of the store.
 */
export interface ArtifactStore {
  /** Names this store in references and manifests; `openStore(uri)` opens it again. Never holds credentials. */
  readonly uri: string;
  /** Stores an object, replacing one of that name; when it returns, the object survives a crash of the machine. */
  put(path: string, bytes: Uint8Array): Promise<Stored>;
  /**
   * Stores the object that pieces make up one after another, as `put` does, in memory that does not grow with it. A piece
   * must not change once it is given. What `pieces` throws is thrown, and nothing is stored.
   */
  putPieces(path: string, pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<Stored>;
  /** Stores an object unless there is one of that name; of any number of racing callers at most one gets `true`. */
  putIfAbsent(path: string, bytes: Uint8Array): Promise<boolean>;
  get(path: string): Promise<Uint8Array>;
  /**
   * Bytes [start, start + length); in `room` where it is given, of that length. Throws RangeError when the object ends
   * before.
   */
  range(path: string, start: number, length: number, room?: Uint8Array): Promise<Uint8Array>;
  /** Size in bytes. */
  size(path: string): Promise<number>;
  exists(path: string): Promise<boolean>;
  /** All objects whose path begins with `prefix`, sorted by path; end it in '/' to mean a folder. '' lists everything. */
  list(prefix: string): Promise<ListedObject[]>;
  /** Deletes an object; one that isn't there is fine. */
  delete(path: string): Promise<void>;
  /** Deletes all objects that `list(prefix)` would give. Throws TypeError for ''. */
  deletePrefix(prefix: string): Promise<void>;
  /** Writes that have not ended, sorted by path. Only their age tells those of dead writers. */
  listUnfinished(): Promise<UnfinishedWrite[]>;
  /** Free where the store lies; undefined where nobody can tell, as of a bucket. */
  freeBytes(): Promise<number | undefined>;
  /** Throws away what such a write left; one that is gone is fine. A writer that lives after all fails, and its activity is retried. */
  deleteUnfinished(write: UnfinishedWrite): Promise<void>;
}

/**
 * The store at a URI. Nothing is contacted or created yet.
 *
 * @throws UserError when the URI is neither an absolute folder, `file:///…` nor `s3://bucket/prefix`.
 * @example
 * const store = openStore('s3://my-bucket/saeflow');
 */
export function openStore(uri: string): ArtifactStore {
  if (uri.startsWith('s3://')) return openS3(uri);
  if (uri.startsWith('file://')) return new DirectoryStore(fileUrlToPath(uri));
  if (uri.startsWith('/')) return new DirectoryStore(resolve(uri));
  throw unknownUri(uri);
}

function openS3(uri: string): S3Store {
  const match = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/(.*?))?\/*$/.exec(uri);
  const prefix = match?.[2] ?? '';
  if (!match || prefix.split('/').some((segment) => segment === '..' || segment === '.' || (segment === '' && prefix !== ''))) throw unknownUri(uri);
  return new S3Store(match[1]!, prefix);
}

function fileUrlToPath(uri: string): string {
  try {
    return resolve(fileURLToPath(uri));
  } catch (error) {
    throw unknownUri(uri, { cause: error });
  }
}

function unknownUri(uri: string, options?: ErrorOptions): UserError {
  return new UserError(`'${uri}' does not name an artifact store`, 'Give an absolute folder (/data/saeflow), file:///data/saeflow or s3://bucket/prefix.', options);
}
