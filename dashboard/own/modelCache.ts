// Weights are fetched once: the browser keeps them under their SHA-256, so a new export is fetched anew and an old one
// is not kept beside it. Where there is no such store (plain http) the browser's own cache has to do.
import type { SiteModel } from '../../schemas/dashboard.ts';

type ModelFile = SiteModel['sae'];
const cacheName = 'saeflow-model';

/** The files of the model, and their bytes together. */
export function modelFilesOf({ transformer, sae, tokenizer }: SiteModel): { files: ModelFile[]; bytes: number } {
  const files = [transformer, sae, ...(tokenizer === undefined ? [] : [tokenizer])];
  return { files, bytes: files.reduce((sum, { bytes }) => sum + bytes, 0) };
}

/** Whether nothing is left to fetch. */
export async function isKept(modelUrl: string, files: readonly ModelFile[]): Promise<boolean> {
  const cache = await openCache();
  if (cache === undefined) return false;
  const found = await Promise.all(files.map((file) => cache.match(keyOf(modelUrl, file))));
  return found.every((response) => response !== undefined);
}

/**
 * A file of the model, from the browser's store or the site.
 *
 * @param onBytes told how many bytes more there are.
 * @throws Error when it can't be fetched, or is not the one that config.json names.
 */
export async function fetchModelFile(modelUrl: string, file: ModelFile, onBytes: (more: number) => void): Promise<Uint8Array> {
  const cache = await openCache();
  const key = keyOf(modelUrl, file);
  const kept = await cache?.match(key);
  if (kept !== undefined) {
    const bytes = new Uint8Array(await kept.arrayBuffer());
    onBytes(bytes.length);
    return bytes;
  }
  const bytes = await download(new URL(file.file, modelUrl).href, file, onBytes);
  await requireHash(file, bytes);
  if (cache !== undefined) await keep(cache, key, bytes);
  return bytes;
}

async function download(url: string, file: ModelFile, onBytes: (more: number) => void): Promise<Uint8Array<ArrayBuffer>> {
  const response = await fetch(url);
  if (!response.ok || response.body === null) throw new Error(`model/${file.file}: ${response.status} ${response.statusText}`);
  const bytes = new Uint8Array(file.bytes);
  const reader = response.body.getReader();
  let at = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    if (at + value.length > bytes.length) throw new Error(`model/${file.file} is longer than the ${file.bytes} bytes that config.json says`);
    bytes.set(value, at);
    at += value.length;
    onBytes(value.length);
  }
  if (at !== bytes.length) throw new Error(`model/${file.file} ended after ${at} of ${file.bytes} bytes`);
  return bytes;
}

async function requireHash({ file, sha256 }: ModelFile, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  // only where the page came by https or from this machine does a browser hash
  if (!isSecureContext) return;
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  const found = Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
  if (found !== sha256) throw new Error(`model/${file} is damaged: SHA-256 ${sha256} expected, ${found} found`);
}

/** A full store is no reason not to go on. */
async function keep(cache: Cache, key: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  try {
    const [path] = key.split('?');
    for (const older of await cache.keys()) if (older.url.split('?')[0] === path) await cache.delete(older);
    await cache.put(key, new Response(bytes));
  } catch (error) {
    console.info('the model is not kept for the next time:', error);
  }
}

function keyOf(modelUrl: string, { file, sha256 }: ModelFile): string {
  return `${new URL(file, modelUrl).href}?sha256=${sha256}`;
}

async function openCache(): Promise<Cache | undefined> {
  try {
    return await caches.open(cacheName);
  } catch {
    return undefined;
  }
}
