// An artifact store in an S3 bucket, or on any server that speaks S3. The SDK's own chain finds endpoint, region and
// credentials (environment, profile, instance role), so none of them is ever in a configuration, history or log.
// The SDK is heavy, hence imported when the first object is touched.
import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type * as s3Sdk from '@aws-sdk/client-s3';
import { UserError } from '../schemas/errors.ts';
import type { ArtifactStore, ListedObject, Stored, UnfinishedWrite } from './artifactStore.ts';
import { RemoteTrouble } from './patience.ts';
import { PayloadHash } from './payloadHash.ts';
import { pieceHash } from './pieceHash.ts';
import { partBytes, PartRooms, uploadPieces, type ObjectTarget } from './s3Upload.ts';
import { checkPath, checkPrefix, checkRange, isPath, NotFoundError } from './storePath.ts';

const deletesAtOnce = 16;
const conflictAttempts = 5;
/** Half a minute of them: a server that restarts, or that asks for less, is not worth a failed activity. */
const requestAttempts = 8;
const bodyAttempts = 5;
const connectMs = 10_000;
/** Without a byte either way for so long, a connection counts as broken. */
const idleMs = 120_000;
const expired: ReadonlySet<string> = new Set(['ExpiredToken', 'ExpiredTokenException', 'TokenRefreshRequired']);

type Sdk = typeof s3Sdk;

export interface Connection {
  sdk: Sdk;
  client: s3Sdk.S3Client;
}

export class S3Store implements ArtifactStore {
  readonly uri: string;
  private readonly bucket: string;
  private readonly keyPrefix: string;
  private connection: Promise<Connection> | undefined;
  private readonly rooms = new PartRooms();

  /** `prefix`: '' or a path without leading or trailing slash. */
  constructor(bucket: string, prefix: string) {
    this.bucket = bucket;
    this.keyPrefix = prefix === '' ? '' : `${prefix}/`;
    this.uri = `s3://${bucket}${prefix === '' ? '' : `/${prefix}`}`;
  }

  async put(path: string, bytes: Uint8Array): Promise<Stored> {
    const target = this.target(path);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    await this.call(path, async ({ sdk, client }) => {
      if (bytes.length <= partBytes) await client.send(new sdk.PutObjectCommand({ ...target, Body: bytes }));
      else await uploadPieces({ sdk, client }, target, [bytes], this.rooms);
    });
    return { sha256, bytes: bytes.length };
  }

  async putPieces(path: string, pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<Stored> {
    const target = this.target(path);
    const hash = pieceHash();
    let bytes = 0;
    async function* counted(): AsyncGenerator<Uint8Array> {
      for await (const piece of pieces) {
        await hash.add(piece);
        bytes += piece.length;
        yield piece;
      }
    }
    await this.call(path, (connection) => uploadPieces(connection, target, counted(), this.rooms));
    return { sha256: await hash.digest(), bytes };
  }

  async putIfAbsent(path: string, bytes: Uint8Array): Promise<boolean> {
    const target = this.target(path);
    return this.call(path, async ({ sdk, client }) => {
      for (let attempt = 1; ; attempt++) {
        try {
          await client.send(new sdk.PutObjectCommand({ ...target, Body: bytes, IfNoneMatch: '*' }));
          return true;
        } catch (error) {
          if (statusOf(error) === 412) return false;
          // 409: another conditional write of this name is under way; the outcome is known on asking again.
          if (statusOf(error) !== 409 || attempt === conflictAttempts) throw error;
        }
      }
    });
  }

  async get(path: string): Promise<Uint8Array> {
    const target = this.target(path);
    return this.call(path, ({ sdk, client }) => readWhole(() => client.send(new sdk.GetObjectCommand(target))));
  }

  async range(path: string, start: number, length: number, room?: Uint8Array): Promise<Uint8Array> {
    checkRange(start, length);
    const target = this.target(path);
    if (length === 0) {
      const bytes = await this.size(path);
      if (start > bytes) throw pastEnd(path, start, length);
      return new Uint8Array(0);
    }
    return this.call(path, async ({ sdk, client }) => {
      try {
        const bytes = await readWhole(() => client.send(new sdk.GetObjectCommand({ ...target, Range: `bytes=${start}-${start + length - 1}` })), room);
        if (bytes.length === length) return bytes;
      } catch (error) {
        if (statusOf(error) !== 416) throw error;
      }
      throw pastEnd(path, start, length);
    });
  }

  async size(path: string): Promise<number> {
    const target = this.target(path);
    return this.call(path, async ({ sdk, client }) => (await client.send(new sdk.HeadObjectCommand(target))).ContentLength ?? 0);
  }

  async exists(path: string): Promise<boolean> {
    try {
      await this.size(path);
      return true;
    } catch (error) {
      if (error instanceof NotFoundError) return false;
      throw error;
    }
  }

  async list(prefix: string): Promise<ListedObject[]> {
    checkPrefix(prefix);
    return this.call(prefix, async ({ sdk, client }) => {
      const objects: ListedObject[] = [];
      for await (const page of sdk.paginateListObjectsV2({ client }, { Bucket: this.bucket, Prefix: this.keyPrefix + prefix })) {
        for (const { Key, Size, LastModified } of page.Contents ?? []) objects.push({ path: Key!.slice(this.keyPrefix.length), bytes: Size ?? 0, modifiedAt: LastModified ?? new Date() });
      }
      // Some servers list the folders they keep as objects of their own, with a trailing slash.
      return objects.filter(({ path }) => !path.endsWith('/')).sort((a, b) => (a.path < b.path ? -1 : 1));
    });
  }

  async delete(path: string): Promise<void> {
    const target = this.target(path);
    try {
      await this.call(path, ({ sdk, client }) => client.send(new sdk.DeleteObjectCommand(target)));
    } catch (error) {
      if (!(error instanceof NotFoundError)) throw error;
    }
  }

  async deletePrefix(prefix: string): Promise<void> {
    if (prefix === '') throw new TypeError("deletePrefix(''): refusing to empty the whole store");
    const paths = (await this.list(prefix)).map(({ path }) => path);
    // One by one: compatible servers disagree on the checksum that a bulk deletion needs.
    for (let at = 0; at < paths.length; at += deletesAtOnce) await Promise.all(paths.slice(at, at + deletesAtOnce).map((path) => this.delete(path)));
  }

  async listUnfinished(): Promise<UnfinishedWrite[]> {
    return this.call('', async ({ sdk, client }) => {
      const writes: UnfinishedWrite[] = [];
      let at: { KeyMarker?: string | undefined; UploadIdMarker?: string | undefined } = {};
      for (;;) {
        const page = await client.send(new sdk.ListMultipartUploadsCommand({ Bucket: this.bucket, Prefix: this.keyPrefix, ...at }));
        for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
          const path = Key!.slice(this.keyPrefix.length);
          // Under a name that no store gives: somebody else's.
          if (!isPath(path)) continue;
          const bytes = await this.uploadedBytes({ sdk, client }, Key!, UploadId!);
          if (bytes !== undefined) writes.push({ path, bytes, modifiedAt: Initiated ?? new Date(), uploadId: UploadId! });
        }
        if (!page.IsTruncated) return writes.sort((a, b) => (a.path < b.path ? -1 : 1));
        at = { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker };
      }
    });
  }

  async deleteUnfinished({ path, uploadId }: UnfinishedWrite): Promise<void> {
    const target = this.target(path);
    try {
      await this.call(path, ({ sdk, client }) => client.send(new sdk.AbortMultipartUploadCommand({ ...target, UploadId: uploadId })));
    } catch (error) {
      if (!(error instanceof NotFoundError)) throw error;
    }
  }

  freeBytes(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  /** Bytes of the parts that arrived; undefined when the upload has ended meanwhile. */
  private async uploadedBytes({ sdk, client }: Connection, Key: string, UploadId: string): Promise<number | undefined> {
    let bytes = 0;
    let PartNumberMarker: string | undefined;
    try {
      // Not the SDK's paginator: it goes on for as long as a page names a marker, which the last one may.
      for (;;) {
        const page = await client.send(new sdk.ListPartsCommand({ Bucket: this.bucket, Key, UploadId, PartNumberMarker }));
        for (const { Size } of page.Parts ?? []) bytes += Size ?? 0;
        if (!page.IsTruncated) return bytes;
        PartNumberMarker = page.NextPartNumberMarker;
      }
    } catch (error) {
      if (statusOf(error) === 404) return undefined;
      throw error;
    }
  }

  private target(path: string): ObjectTarget {
    checkPath(path);
    return { Bucket: this.bucket, Key: this.keyPrefix + path };
  }

  private async call<T>(path: string, work: (connection: Connection) => Promise<T>): Promise<T> {
    this.connection ??= connect(requestAttempts);
    try {
      return await work(await this.connection);
    } catch (error) {
      throw this.explain(error, path);
    }
  }

  private explain(error: unknown, path: string): unknown {
    const name = error instanceof Error ? error.name : '';
    const status = statusOf(error);
    if (name === 'NoSuchBucket') return new UserError(`${this.uri}: there is no bucket ${this.bucket}`, `Create the bucket, or correct the store's URI.`, { cause: error });
    if (name === 'CredentialsProviderError') {
      return new UserError(`${this.uri}: no S3 credentials were found`, 'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or run where an instance role applies.', { cause: error });
    }
    if (expired.has(name)) {
      return new UserError(`${this.uri}: the S3 credentials have expired (${name})`, 'Renew them (aws sso login, or a new AWS_SESSION_TOKEN with its keys), start the worker again, and run the same command: what is finished is kept.', { cause: error });
    }
    if (name === 'RequestTimeTooSkewed') {
      return new UserError(`${this.uri}: the time of this machine, ${new Date().toISOString()}, differs too much from the server's`, 'Set the clock (timedatectl set-ntp true), then run the same command again.', { cause: error });
    }
    if (status === 401 || status === 403) {
      return new UserError(`${this.uri}: access to ${path} is refused (${name})`, 'Check the credentials and that they may list, get, put and delete in this bucket.', { cause: error });
    }
    if (status === 404) return new NotFoundError(this.uri, path);
    // What the SDK gave up, after its own retries: Temporal's go on. Anything else is the caller's.
    if (error instanceof Error && '$metadata' in error) return new RemoteTrouble(`${this.uri}/${path}: ${name}: ${error.message}`, { cause: error });
    if (error instanceof RemoteTrouble) return new RemoteTrouble(`${this.uri}/${path}: ${error.message}`, { cause: error.cause });
    return error;
  }
}

/** The body of an answer, in `room` where it has that length; asked for again where it breaks off, which the SDK does not do. */
async function readWhole(ask: () => Promise<s3Sdk.GetObjectCommandOutput>, room?: Uint8Array): Promise<Uint8Array> {
  for (let attempt = 1; ; attempt++) {
    const { Body, ContentLength } = await ask();
    try {
      const bytes = room !== undefined && ContentLength === room.length ? await fill(room, Body as Readable) : await Body!.transformToByteArray();
      if (ContentLength === undefined || bytes.length === ContentLength) return bytes;
      throw new RemoteTrouble(`the body ended after ${bytes.length} of ${ContentLength} bytes`);
    } catch (error) {
      if (attempt === bodyAttempts) throw new RemoteTrouble(`the body broke off ${attempt} times: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
      await sleep(100 * 2 ** attempt);
    }
  }
}

/** What a body has, at the beginning of `room`. Once it throws, nothing is written there any more. */
async function fill(room: Uint8Array, body: Readable): Promise<Uint8Array> {
  let filled = 0;
  for await (const piece of body as AsyncIterable<Uint8Array>) {
    if (filled + piece.length > room.length) throw new RemoteTrouble(`the body went on after ${room.length} bytes`);
    room.set(piece, filled);
    filled += piece.length;
  }
  return room.subarray(0, filled);
}

/** The SDK, and a client made as its environment says. `maxAttempts` of a request, where the environment says none. */
export async function connect(maxAttempts?: number): Promise<Connection> {
  const sdk = await import('@aws-sdk/client-s3');
  const ownServer = (process.env['AWS_ENDPOINT_URL_S3'] ?? process.env['AWS_ENDPOINT_URL'] ?? '') !== '';
  const client = new sdk.S3Client({
    // Objects carry their own SHA-256, and many compatible servers refuse the SDK's checksum trailers.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    sha256: PayloadHash,
    requestHandler: { connectionTimeout: connectMs, socketTimeout: idleMs },
    ...(maxAttempts === undefined || process.env['AWS_MAX_ATTEMPTS'] !== undefined ? {} : { maxAttempts }),
    ...(ownServer ? { forcePathStyle: true, region: process.env['AWS_REGION'] ?? 'us-east-1' } : {}),
  });
  return { sdk, client };
}

function pastEnd(path: string, start: number, length: number): RangeError {
  return new RangeError(`${path} ends before byte ${start + length}`);
}

function statusOf(error: unknown): number | undefined {
  return (error as { $metadata?: { httpStatusCode?: number } } | null)?.$metadata?.httpStatusCode;
}
