// From a batch of the shuffled reader back to the shards, documents and tokens its vectors are from.
import { openActivations } from '../data/activationSource.ts';
import { decodeActivationShard, type ActivationDtype } from '../data/activationShard.ts';
import { artifactPath, readVerified } from '../data/artifact.ts';
import { specOf } from '../data/inputs.ts';
import type { DocumentRow } from '../data/tokenShard.ts';
import { UserError } from '../schemas/errors.ts';
import { openTokens } from './artifacts.ts';
import type { JobContext } from './context.ts';
import type { BatchProvenance } from './divergence.ts';
import type { SaeSetting } from './saeTraining.ts';
import { nameOf } from './transformerBatches.ts';

/** One vector of a batch at rest, and the text it is the activation of. */
interface Origin {
  /** File of the sampleActivations artifact, and row in it. */
  shard: string;
  row: number;
  document: string;
  /** Token offset inside the document. */
  position: number;
  dtype: ActivationDtype;
}

/** Where the vectors of a batch come from. */
export async function vectorProvenance(setting: SaeSetting, batch: number, context: JobContext): Promise<BatchProvenance> {
  const items = await originsOf(setting, batch, context);
  const count = (names: string[]) => new Set(names).size;
  const shards = [...new Set(items.map(({ shard }) => shard))].sort();
  return { summary: `batch ${batch} of the shuffled reader: ${items.length} vectors of ${count(items.map(({ document }) => document))} documents in ${shards.join(', ')}`, items };
}

/**
 * Does nothing where all vectors of the batch are finite.
 *
 * @throws UserError naming shard, row, document and token of the first one that is not
 */
export async function refuseBadVectors(setting: SaeSetting, batch: number, context: JobContext): Promise<void> {
  const vectors = await setting.reader.read(batch);
  const bad = vectors.findIndex((value) => !Number.isFinite(value));
  if (bad < 0) return;
  const { store } = context;
  const { inputs } = await specOf(store, setting.id, 'trainSae');
  const artifact = { stage: 'sampleActivations', key: inputs.sampleActivations } as const;
  const origin = (await originsOf(setting, batch, context))[Math.floor(bad / setting.d)]!;
  const { shard, row, document, position, dtype } = origin;
  const overflowed = dtype === 'float16' && !Number.isNaN(vectors[bad]);
  throw new UserError(
    `${store.uri}/${artifactPath(artifact, shard)}: row ${row} is not finite, component ${bad % setting.d} is ${vectors[bad]} (token ${position} of ${document}, batch ${batch} of the shuffled reader)`,
    overflowed ? 'float16 ends at 65,504: sample with activations.dtype float32.' : `The file is as it was written, so its model or its maker is at fault: delete ${artifactPath(artifact, '')} and sample again.`,
  );
}

async function originsOf({ id, reader }: SaeSetting, batch: number, { store }: JobContext): Promise<Origin[]> {
  const { inputs } = await specOf(store, id, 'trainSae');
  const { id: artifact, spec, shards } = await openActivations(store, inputs.sampleActivations);
  const documents = await documentsOf(spec.inputs.tokenize, { store });
  const sources = reader.sources(batch);
  const origins = new Array<Origin>(sources.length);
  // shard after shard: one decoded shard is held at a time
  for (const shard of new Set(sources.map((source) => source.shard))) {
    const entry = await shards[shard]!.entry();
    const { document, position, dtype } = await decodeActivationShard(await readVerified(store, artifact, entry));
    sources.forEach((source, index) => {
      if (source.shard !== shard) return;
      const row = documents[document[source.row]!]!;
      origins[index] = { shard: entry.path, row: source.row, document: nameOf(row), position: position[source.row]!, dtype };
    });
  }
  return origins;
}

async function documentsOf(key: string, { store }: Pick<JobContext, 'store'>): Promise<DocumentRow[]> {
  return (await openTokens(store, key, 'train')).tokens.documents('train');
}
