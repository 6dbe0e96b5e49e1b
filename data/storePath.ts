// Names of objects, the same rules for a folder and for S3: a run that began on a disk must be able to move to a bucket,
// and no name that came from outside may lead out of the store.

/** The store has no object of that name. */
export class NotFoundError extends Error {
  override readonly name = 'NotFoundError';
  readonly path: string;

  constructor(storeUri: string, path: string) {
    super(`${storeUri} has no ${path}`);
    this.path = path;
  }
}

/** Files that begin so are not objects yet: a writer is filling them, or died while it did. */
export const temporaryPrefix = '.tmp-';

/** Throws TypeError unless `path` is relative, made of plain segments, and leads nowhere but down. */
export function checkPath(path: string): void {
  const bad = path.split('/').find((segment) => !isSegment(segment));
  if (bad !== undefined) throw new TypeError(`'${path}' cannot name an object in the store: '${bad}' is not a plain segment`);
}

/** True for what checkPath lets pass. */
export function isPath(path: string): boolean {
  return path.split('/').every(isSegment);
}

/** As checkPath, for the beginning of a name: '' and 'a/' and 'a/b' are fine. */
export function checkPrefix(prefix: string): void {
  if (prefix === '') return;
  checkPath(prefix.endsWith('/') ? prefix.slice(0, -1) : prefix);
}

/** Throws RangeError unless both are whole and not negative. */
export function checkRange(start: number, length: number): void {
  if (!Number.isSafeInteger(start) || !Number.isSafeInteger(length) || start < 0 || length < 0) {
    throw new RangeError(`range of ${length} bytes at ${start}: both must be whole numbers from 0 up`);
  }
}

function isSegment(segment: string): boolean {
  return /^[\w .=+@,()-]+$/.test(segment) && segment !== '.' && segment !== '..' && !segment.startsWith(temporaryPrefix);
}
