// A store that counts the bytes that pass through it: what a job read and wrote is part of what it cost.
import { z } from 'zod';
import type { ArtifactStore, ListedObject, Stored, UnfinishedWrite } from './artifactStore.ts';

/** Bytes read from a store and written to it. */
export const traffic = z.strictObject({ bytesRead: z.int(), bytesWritten: z.int() });
export type Traffic = z.infer<typeof traffic>;
export const noTraffic: Readonly<Traffic> = { bytesRead: 0, bytesWritten: 0 };

export class CountedStore implements ArtifactStore {
  readonly uri: string;
  readonly traffic: Traffic = { ...noTraffic };
  private readonly store: ArtifactStore;

  constructor(store: ArtifactStore) {
    this.uri = store.uri;
    this.store = store;
  }

  async put(path: string, bytes: Uint8Array): Promise<Stored> {
    const stored = await this.store.put(path, bytes);
    this.traffic.bytesWritten += stored.bytes;
    return stored;
  }

  async putPieces(path: string, pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<Stored> {
    const stored = await this.store.putPieces(path, pieces);
    this.traffic.bytesWritten += stored.bytes;
    return stored;
  }

  async putIfAbsent(path: string, bytes: Uint8Array): Promise<boolean> {
    const written = await this.store.putIfAbsent(path, bytes);
    this.traffic.bytesWritten += bytes.length;
    return written;
  }

  async get(path: string): Promise<Uint8Array> {
    return this.read(await this.store.get(path));
  }

  async range(path: string, start: number, length: number, room?: Uint8Array): Promise<Uint8Array> {
    return this.read(await this.store.range(path, start, length, room));
  }

  size(path: string): Promise<number> {
    return this.store.size(path);
  }

  exists(path: string): Promise<boolean> {
    return this.store.exists(path);
  }

  list(prefix: string): Promise<ListedObject[]> {
    return this.store.list(prefix);
  }

  delete(path: string): Promise<void> {
    return this.store.delete(path);
  }

  deletePrefix(prefix: string): Promise<void> {
    return this.store.deletePrefix(prefix);
  }

  listUnfinished(): Promise<UnfinishedWrite[]> {
    return this.store.listUnfinished();
  }

  deleteUnfinished(write: UnfinishedWrite): Promise<void> {
    return this.store.deleteUnfinished(write);
  }

  freeBytes(): Promise<number | undefined> {
    return this.store.freeBytes();
  }

  private read(bytes: Uint8Array): Uint8Array {
    this.traffic.bytesRead += bytes.length;
    return bytes;
  }
}

/** What passed through a store since it was opened, and `before`; only `before` where it does not count. */
export function trafficOf(store: ArtifactStore, before: Traffic = noTraffic): Traffic {
  const { bytesRead, bytesWritten } = store instanceof CountedStore ? store.traffic : noTraffic;
  return { bytesRead: before.bytesRead + bytesRead, bytesWritten: before.bytesWritten + bytesWritten };
}
