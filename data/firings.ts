// Where features fired, as a shard of held-out windows leaves it for the blocks of features: one file a block, so that
// writing a block reads its own firings only, and sums of feature × hooked component for the correlations. Files hold
// tokens counted in the shard; readers get tokens counted from the beginning, in ascending order, from all shards.
import type { FileEntry, Receipt } from '../schemas/artifact.ts';
import { UserError } from '../schemas/errors.ts';
import { RandomStream } from '../schemas/random.ts';
import type { ArtifactId } from '../schemas/stages.ts';
import { artifactPath, readReceipt, readVerified } from './artifact.ts';
import type { ArtifactStore } from './artifactStore.ts';
import type { Firings } from './featurePages.ts';
import { decodeSafetensors, encodeSafetensors, type StoredTensor } from './safetensors.ts';

/** Non-zero activations in reading order: token in the shard, feature, value. */
export interface SparseActivations {
  token: Int32Array;
  feature: Int32Array;
  value: Float32Array;
}

const numbered = (index: number) => String(index).padStart(5, '0');

/** Sums over a shard, and what is known of each of its tokens. The first file of the shard's receipt. */
export function sumsPath(shard: number): string {
  return `work/activations/${numbered(shard)}.safetensors`;
}

/** A shard's firings of one block of features. */
function blockPath(shard: number, block: number): string {
  return `work/activations/${numbered(shard)}/block-${numbered(block)}.safetensors`;
}

/** A shard's activations token by token, of the windows that features are correlated on. */
function rowsPath(shard: number): string {
  return `work/activations/${numbered(shard)}/rows.safetensors`;
}

/** What a block of features is written from. */
export interface BlockFirings {
  /** One a feature. */
  firings: Firings[];
  /** Σ over all tokens of f · x, [features of the block · d]. */
  products: Float64Array;
}

/**
 * Writes a shard's firings, a file a block.
 *
 * @param products Σ f · x, [features · d]
 */
export async function writeFirings(store: ArtifactStore, id: ArtifactId, shard: number, all: SparseActivations, products: Float64Array<ArrayBuffer>, features: number, featuresPerBlock: number): Promise<FileEntry[]> {
  const d = products.length / features;
  const { starts, order } = byFeature(all.feature, features);
  const files: FileEntry[] = [];
  for (let first = 0; first < features; first += featuresPerBlock) {
    const end = Math.min(features, first + featuresPerBlock);
    const entries = order.subarray(starts[first]!, starts[end]!);
    const [token, value] = [new Int32Array(entries.length), new Float32Array(entries.length)];
    for (let place = 0; place < entries.length; place++) {
      token[place] = all.token[entries[place]!]!;
      value[place] = all.value[entries[place]!]!;
    }
    const tensors = {
      start: { shape: [end - first + 1], data: starts.subarray(first, end + 1).map((start) => start - starts[first]!) },
      token: { shape: [entries.length], data: token },
      value: { shape: [entries.length], data: value },
      products: { shape: [end - first, d], data: products.subarray(first * d, end * d) },
    };
    const path = blockPath(shard, first / featuresPerBlock);
    files.push({ path, ...(await store.put(artifactPath(id, path), encodeSafetensors(tensors))), rows: entries.length });
  }
  return files;
}

/** Firings of a block of features from every shard, ascending by token. */
export async function readFirings(store: ArtifactStore, id: ArtifactId, block: number, features: number, d: number, shards: number, tokensPerShard: number): Promise<BlockFirings> {
  const parts: { shard: number; start: Int32Array; token: Int32Array; value: Float32Array }[] = [];
  const sums = new Float64Array(features * d);
  for (const { shard, receipt } of await receiptsOf(store, id, shards)) {
    const tensors = await readTensors(store, id, receipt, blockPath(shard, block));
    const { start, token, value, products } = tensors as { [name: string]: StoredTensor };
    (products!.data as Float64Array).forEach((product, index) => (sums[index]! += product));
    parts.push({ shard, start: start!.data as Int32Array, token: token!.data as Int32Array, value: value!.data as Float32Array });
  }
  const firings = Array.from({ length: features }, (_, feature): Firings => {
    const count = parts.reduce((total, { start }) => total + start[feature + 1]! - start[feature]!, 0);
    const [tokens, values] = [new Int32Array(count), new Float32Array(count)];
    let filled = 0;
    for (const { shard, start, token, value } of parts) {
      for (let index = start[feature]!; index < start[feature + 1]!; index++, filled++) {
        tokens[filled] = shard * tokensPerShard + token[index]!;
        values[filled] = value[index]!;
      }
    }
    return { tokens, values };
  });
  return { firings, products: sums };
}

/** Firings of several features, one after another as a reader meets them. */
export interface FiringsInOrder {
  /** Place of the feature in the list. */
  feature: Int32Array;
  /** Which of its firings. */
  index: Int32Array;
  /** So many are of tokens before t, [tokens + 1]. */
  before: Int32Array;
}

/**
 * Sorts firings by token, then by feature.
 *
 * @param tokens one above the last token there can be
 * @param wanted of each feature, ascending indices of the firings that are meant; default: all
 */
export function inReadingOrder(firings: readonly Firings[], tokens: number, wanted?: readonly number[][]): FiringsInOrder {
  const before = new Int32Array(tokens + 1);
  const forAll = (visit: (token: number, feature: number, index: number) => void) =>
    firings.forEach((ofFeature, feature) => {
      const indices = wanted?.[feature];
      const count = indices === undefined ? ofFeature.tokens.length : indices.length;
      for (let place = 0; place < count; place++) {
        const index = indices === undefined ? place : indices[place]!;
        visit(ofFeature.tokens[index]!, feature, index);
      }
    });
  forAll((token) => before[token + 1]!++);
  for (let token = 0; token < tokens; token++) before[token + 1]! += before[token]!;
  const next = before.slice();
  const order = { feature: new Int32Array(before[tokens]!), index: new Int32Array(before[tokens]!), before };
  forAll((token, feature, index) => {
    const place = next[token]!++;
    order.feature[place] = feature;
    order.index[place] = index;
  });
  return order;
}

/** Whether features are correlated with each other on a window: a seeded choice, the same whatever shard it is in. */
export function isCorrelated(window: number, windows: number, contextLength: number, correlationTokens: number): boolean {
  const share = correlationTokens / (windows * contextLength);
  return share >= 1 || new RandomStream(0, 'exportDashboard', 'correlated', window).uniform() < share;
}

/** Writes a shard's activations of the correlated windows, as they were read. */
export async function writeRows(store: ArtifactStore, id: ArtifactId, shard: number, all: SparseActivations, contextLength: number, keeps: (window: number) => boolean): Promise<FileEntry> {
  const { token, feature, value } = inWindows(all, contextLength, keeps);
  const shape = [token.length];
  const path = rowsPath(shard);
  return { path, ...(await store.put(artifactPath(id, path), encodeSafetensors({ token: { shape, data: token }, feature: { shape, data: feature }, value: { shape, data: value } }))), rows: token.length };
}

/** Those of the windows that are kept. */
function inWindows({ token, feature, value }: SparseActivations, contextLength: number, keeps: (window: number) => boolean) {
  const kept = { token: token.slice(), feature: feature.slice(), value: value.slice() };
  let size = 0;
  for (let entry = 0; entry < token.length; ) {
    const window = Math.floor(token[entry]! / contextLength);
    let end = entry;
    while (end < token.length && token[end]! < (window + 1) * contextLength) end++;
    if (keeps(window)) {
      kept.token.copyWithin(size, entry, end);
      kept.feature.copyWithin(size, entry, end);
      kept.value.copyWithin(size, entry, end);
      size += end - entry;
    }
    entry = end;
  }
  return { token: kept.token.subarray(0, size), feature: kept.feature.subarray(0, size), value: kept.value.subarray(0, size) };
}

/** The correlated windows' activations of all shards: tokens counted from the beginning, ascending. */
export async function readRows(store: ArtifactStore, id: ArtifactId, shards: number, tokensPerShard: number): Promise<SparseActivations> {
  const parts: (SparseActivations & { shard: number })[] = [];
  for (const { shard, receipt } of await receiptsOf(store, id, shards)) {
    const { token, feature, value } = await readTensors(store, id, receipt, rowsPath(shard));
    parts.push({ shard, token: token!.data as Int32Array, feature: feature!.data as Int32Array, value: value!.data as Float32Array });
  }
  const size = parts.reduce((total, { token }) => total + token.length, 0);
  const all: SparseActivations = { token: new Int32Array(size), feature: new Int32Array(size), value: new Float32Array(size) };
  let filled = 0;
  for (const { shard, token, feature, value } of parts) {
    for (let entry = 0; entry < token.length; entry++) all.token[filled + entry] = shard * tokensPerShard + token[entry]!;
    all.feature.set(feature, filled);
    all.value.set(value, filled);
    filled += token.length;
  }
  return all;
}

/** The tensors of a shard's first file: sums, and a number or bits for each token. */
export async function readSums(store: ArtifactStore, id: ArtifactId, shards: number): Promise<{ shard: number; tensors: Record<string, StoredTensor> }[]> {
  const receipts = await receiptsOf(store, id, shards);
  return Promise.all(receipts.map(async ({ shard, receipt }) => ({ shard, tensors: await readTensors(store, id, receipt, sumsPath(shard)) })));
}

/** A shard that was skipped by its operator has no receipt; its tokens count as read without any firing. */
async function receiptsOf(store: ArtifactStore, id: ArtifactId, shards: number): Promise<{ shard: number; receipt: Receipt }[]> {
  const found: { shard: number; receipt: Receipt }[] = [];
  for (let shard = 0; shard < shards; shard++) {
    const receipt = await readReceipt(store, id, shard);
    if (receipt !== null) found.push({ shard, receipt });
  }
  return found;
}

async function readTensors(store: ArtifactStore, id: ArtifactId, receipt: Receipt, path: string): Promise<Record<string, StoredTensor>> {
  const entry = receipt.files.find((file) => file.path === path);
  if (entry === undefined) throw new UserError(`the receipt of shard ${receipt.shard} names no file ${path}`, 'Delete the artifact folder and run again.');
  return decodeSafetensors(await readVerified(store, id, entry)).tensors;
}

/** A stable counting sort: entries [starts[f], starts[f + 1]) of `order` are those of feature f, in reading order. */
function byFeature(feature: Int32Array, features: number): { starts: Int32Array; order: Int32Array } {
  const starts = new Int32Array(features + 1);
  for (let entry = 0; entry < feature.length; entry++) starts[feature[entry]! + 1]!++;
  for (let one = 0; one < features; one++) starts[one + 1]! += starts[one]!;
  const next = starts.slice();
  const order = new Int32Array(feature.length);
  for (let entry = 0; entry < feature.length; entry++) order[next[feature[entry]!]!++] = entry;
  return { starts, order };
}
