// Where a served site's files come from: a folder, or whatever else can say how long a file is and give a part of it.
import { createReadStream } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';

/** A file of a site. */
export interface SiteFile {
  bytes: number;
  /** Differs whenever the content does. */
  version: string;
  /** Bytes [start, start + length). */
  read(start: number, length: number): AsyncIterable<Uint8Array>;
}

export interface SiteSource {
  /** The file of that name, such as `data/run.json`, if the site has it. */
  find(name: string): Promise<SiteFile | undefined>;
}

/** The files of a folder: none that lies outside, after symbolic links and `..` are resolved. */
export async function folderSource(folder: string): Promise<SiteSource> {
  const root = await realpath(folder);
  return {
    async find(name) {
      try {
        const path = await realpath(join(root, name));
        if (!path.startsWith(root + sep)) return undefined;
        const found = await stat(path);
        if (!found.isFile()) return undefined;
        return {
          bytes: found.size,
          version: `${found.size.toString(36)}-${Math.round(found.mtimeMs).toString(36)}-${found.ino.toString(36)}`,
          read: (start, length) => (length === 0 ? nothing() : (createReadStream(path, { start, end: start + length - 1 }) as AsyncIterable<Uint8Array>)),
        };
      } catch {
        return undefined;
      }
    },
  };
}

async function* nothing(): AsyncGenerator<Uint8Array> {
  // An empty file.
}
