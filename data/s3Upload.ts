// An object in a bucket out of pieces, in parts where it is large. Parts lie in memory that is used again: new memory for
// each, as the SDK's own upload takes it, costs a third of sending them. An upload that fails is aborted.
import type * as s3Sdk from '@aws-sdk/client-s3';
import type { Connection } from './s3Store.ts';

/** Objects above this go up in parts of this size; of 10,000 parts S3 makes one object, 168 GB. */
export const partBytes = 16 * 2 ** 20;
const partsAtOnce = 4;

export interface ObjectTarget {
  Bucket: string;
  Key: string;
}

/** Memory for parts, kept from one upload to the next. */
export class PartRooms {
  private readonly free: Uint8Array[] = [];

  take(): Uint8Array {
    return this.free.pop() ?? new Uint8Array(partBytes);
  }

  giveBack(room: Uint8Array): void {
    if (this.free.length <= partsAtOnce) this.free.push(room);
  }
}

/**
 * Uploads copies of the pieces as one object.
 *
 * @throws what a piece throws, or the SDK after its own attempts; then there is no object, and no part is left behind
 * unless the server is gone.
 */
export async function uploadPieces(connection: Connection, target: ObjectTarget, pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>, rooms: PartRooms): Promise<void> {
  const { sdk, client } = connection;
  let upload: PartUpload | undefined;
  let room = rooms.take();
  let filled = 0;
  try {
    for await (const piece of pieces) {
      for (let taken = 0; taken < piece.length; ) {
        if (filled === partBytes) {
          upload ??= await PartUpload.begin(connection, target, rooms);
          await upload.add(room, filled);
          room = rooms.take();
          filled = 0;
        }
        const count = Math.min(piece.length - taken, partBytes - filled);
        room.set(piece.subarray(taken, taken + count), filled);
        filled += count;
        taken += count;
      }
    }
    if (upload === undefined) {
      await client.send(new sdk.PutObjectCommand({ ...target, Body: room.subarray(0, filled) }));
      rooms.giveBack(room);
    } else {
      await upload.add(room, filled);
      await upload.complete();
    }
  } catch (error) {
    await upload?.abort();
    throw error;
  }
}

/** A multipart upload under way. */
class PartUpload {
  private readonly connection: Connection;
  private readonly upload: ObjectTarget & { UploadId: string };
  private readonly rooms: PartRooms;
  private readonly parts: s3Sdk.CompletedPart[] = [];
  private readonly sending = new Set<Promise<void>>();
  /** Of the part that failed first. */
  private failure: unknown;

  private constructor(connection: Connection, upload: ObjectTarget & { UploadId: string }, rooms: PartRooms) {
    this.connection = connection;
    this.upload = upload;
    this.rooms = rooms;
  }

  static async begin(connection: Connection, target: ObjectTarget, rooms: PartRooms): Promise<PartUpload> {
    const { UploadId } = await connection.client.send(new connection.sdk.CreateMultipartUploadCommand(target));
    return new PartUpload(connection, { ...target, UploadId: UploadId! }, rooms);
  }

  /** Sends a room's first bytes as the next part, and takes care of the room; returns when there is a place for another. */
  async add(room: Uint8Array, bytes: number): Promise<void> {
    while (this.sending.size >= partsAtOnce) await Promise.race(this.sending);
    if (this.failure !== undefined) throw this.failure;
    const part: s3Sdk.CompletedPart = { PartNumber: this.parts.length + 1 };
    this.parts.push(part);
    const sent = this.send(part, room.subarray(0, bytes)).then(
      () => this.rooms.giveBack(room),
      (error: unknown) => void (this.failure ??= error),
    );
    this.sending.add(sent);
    void sent.finally(() => this.sending.delete(sent));
  }

  async complete(): Promise<void> {
    await Promise.all(this.sending);
    if (this.failure !== undefined) throw this.failure;
    const { sdk, client } = this.connection;
    await client.send(new sdk.CompleteMultipartUploadCommand({ ...this.upload, MultipartUpload: { Parts: this.parts } }));
  }

  /** A server that is gone keeps the parts, for gc to find. */
  async abort(): Promise<void> {
    // a part still on its way would arrive after the abort, and stay
    await Promise.all(this.sending);
    const { sdk, client } = this.connection;
    await client.send(new sdk.AbortMultipartUploadCommand(this.upload)).catch(() => undefined);
  }

  private async send(part: s3Sdk.CompletedPart, Body: Uint8Array): Promise<void> {
    const { sdk, client } = this.connection;
    const { ETag } = await client.send(new sdk.UploadPartCommand({ ...this.upload, PartNumber: part.PartNumber, Body }));
    part.ETag = ETag;
  }
}
