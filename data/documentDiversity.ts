// How well batches are mixed: how many documents the vectors of a batch are from, against a batch of vectors drawn from
// everywhere at random.
import { parquetReadObjects } from 'hyparquet';
import { z } from 'zod';
import { readManifest, readVerified } from './artifact.ts';
import type { ArtifactStore } from './artifactStore.ts';

const row = z.object({ split: z.string(), length: z.int().nonnegative() });

/** Expected number of different documents among `vectors` drawn at random: each from a document as likely as it is long. */
export function expectedDocuments(lengths: Iterable<number>, total: number, vectors: number): number {
  let expected = 0;
  for (const length of lengths) expected -= Math.expm1(vectors * Math.log1p(-length / total));
  return expected;
}

/** `expectedDocuments` over the training documents of a tokenize artifact; undefined where it is not in the store. */
export async function idealDocuments(store: ArtifactStore, tokenizeKey: string, vectors: number): Promise<number | undefined> {
  const id = { stage: 'tokenize', key: tokenizeKey } as const;
  const manifest = await readManifest(store, id);
  if (manifest === null) return undefined;
  const total = manifest.metrics['trainTokens']!;
  let expected = 0;
  // shard by shard: an index of all documents can be larger than the training it is asked for
  for (const entry of manifest.files.filter(({ path }) => path.endsWith('.documents.parquet'))) {
    const file = Uint8Array.from(await readVerified(store, id, entry)).buffer;
    const rows = z.array(row).parse(await parquetReadObjects({ file, columns: ['split', 'length'] }));
    expected += expectedDocuments(rows.filter(({ split }) => split === 'train').map(({ length }) => length), total, vectors);
  }
  return expected;
}
