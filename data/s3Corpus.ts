// Corpus files in S3 buckets, or on any server that speaks S3: found by pattern, read by range. Every read names the
// entity tag of the listing, so that an object replaced in between is told, never mixed into the corpus.
import type { GetObjectCommandOutput } from '@aws-sdk/client-s3';
import picomatch from 'picomatch';
import { UserError } from '../schemas/errors.ts';
import { ChangedContent, RemoteTrouble, unlessIdle, withinTime, withPatience, type Patience } from './patience.ts';
import { connect } from './s3Store.ts';

export const s3Scheme = 's3://';

export interface S3Object {
  /** s3://bucket/key */
  readonly uri: string;
  readonly bytes: number;
  readonly tag: string;
}

let connection: ReturnType<typeof connect> | undefined;

/**
 * The objects that `uri` names: one, or those that match a pattern.
 *
 * @throws UserError if there are none, it is a folder, or access is refused; RemoteTrouble when S3 can't be reached for long.
 * @example
 * const objects = await listS3Objects('s3://bucket/corpus/*.jsonl.gz', defaultPatience);
 */
export async function listS3Objects(uri: string, patience: Patience): Promise<S3Object[]> {
  const { bucket, key } = parseS3Uri(uri);
  const { base, isGlob } = picomatch.scan(key);
  const all = await withPatience(patience, () => listPrefix(uri, bucket, isGlob && base !== '' ? `${base}/` : isGlob ? '' : key));
  const exact = all.filter((object) => object.uri === uri);
  if (exact.length > 0) return exact;
  const matches = picomatch(key);
  const found = isGlob ? all.filter((object) => matches(parseS3Uri(object.uri).key)) : [];
  if (found.length > 0) return found;
  if (all.some((object) => object.uri.startsWith(`${uri.replace(/\/$/, '')}/`))) {
    throw new UserError(`corpus.paths: "${uri}" is a folder`, `Name files by a pattern, such as "${uri.replace(/\/$/, '')}/**/*.jsonl".`);
  }
  throw new UserError(`corpus.paths: "${uri}" matches no object`, 'Check bucket, prefix and pattern; supported are .txt, .jsonl and .parquet, each as it is or with .gz or .zst after it.');
}

/**
 * Bytes [start, end) of an object; may break off.
 *
 * @throws UserError if the object is gone or access is refused; ChangedContent; RemoteTrouble.
 */
export async function openS3Object(uri: string, tag: string | null, start: number, end: number, idleMs: number): Promise<AsyncIterable<Uint8Array>> {
  const { bucket, key } = parseS3Uri(uri);
  const { sdk, client } = await connected();
  const request = { Bucket: bucket, Key: key, Range: `bytes=${start}-${end - 1}`, ...(tag === null ? {} : { IfMatch: tag }) };
  const { Body } = await withinTime(client.send(new sdk.GetObjectCommand(request)), idleMs).catch((error: unknown) => {
    throw explain(error, uri);
  });
  const body = Body as NonNullable<GetObjectCommandOutput['Body']> & AsyncIterable<Uint8Array> & { destroy(): void };
  return unlessIdle(body, idleMs, () => body.destroy());
}

async function listPrefix(uri: string, bucket: string, prefix: string): Promise<S3Object[]> {
  const { sdk, client } = await connected();
  const objects: S3Object[] = [];
  try {
    for await (const page of sdk.paginateListObjectsV2({ client }, { Bucket: bucket, Prefix: prefix })) {
      for (const { Key, Size, ETag } of page.Contents ?? []) objects.push({ uri: `${s3Scheme}${bucket}/${Key!}`, bytes: Size ?? 0, tag: ETag ?? '' });
    }
  } catch (error) {
    throw explain(error, uri);
  }
  // Some servers list the folders they keep as objects of their own, with a trailing slash.
  return objects.filter((object) => !object.uri.endsWith('/'));
}

function connected(): ReturnType<typeof connect> {
  connection ??= connect();
  return connection;
}

function parseS3Uri(uri: string): { bucket: string; key: string } {
  const [, bucket, key] = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])\/(.+)$/.exec(uri) ?? [];
  if (bucket === undefined || key === undefined) throw new UserError(`corpus.paths: "${uri}" names no objects`, 'Write s3://BUCKET/PATTERN, such as s3://bucket/corpus/**/*.jsonl.gz.');
  return { bucket, key };
}

function explain(error: unknown, uri: string): Error {
  if (error instanceof RemoteTrouble) return error;
  const { name, message } = error instanceof Error ? error : { name: '', message: String(error) };
  const status = (error as { $metadata?: { httpStatusCode?: number } } | null)?.$metadata?.httpStatusCode;
  if (name === 'NoSuchBucket') return new UserError(`corpus.paths: "${uri}": there is no such bucket`, 'Correct the name, or the endpoint in AWS_ENDPOINT_URL_S3.', { cause: error });
  if (name === 'CredentialsProviderError') return new UserError(`${uri}: no S3 credentials were found`, 'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or run where an instance role applies.', { cause: error });
  if (status === 401 || status === 403) return new UserError(`${uri}: access is refused (${name})`, 'Check the credentials and that they may list and get in this bucket.', { cause: error });
  if (status === 404) return new UserError(`${uri} is gone`, 'It was there when the run began. Put it back, or start the run again.', { cause: error });
  if (status === 412 || status === 416) return new ChangedContent(`${uri} is not what it was when the run began: its entity tag has changed`, { cause: error });
  return new RemoteTrouble(`${uri}: ${message}`, { cause: error });
}
