// What a finished stage consists of: the files its receipts name, and what is put together from them once all are
// there. The caller writes the manifest from this, last.
import { MAX_BAD_LINES, type BadLine, type FileEntry, type Receipt } from '../schemas/artifact.ts';
import { UserError } from '../schemas/errors.ts';
import type { ArtifactId, SpecOf } from '../schemas/stages.ts';
import { artifactPath, listReceipts, readSpec, readVerified } from './artifact.ts';
import type { ArtifactStore } from './artifactStore.ts';
import { finishSite } from './dashboardSite.ts';
import { requireDocuments } from './documents.ts';
import { promptPlanOf } from './promptPlans.ts';
import { tokenizerFiles } from './tokenizerFile.ts';

export interface Finished {
  files: FileEntry[];
  metrics: Record<string, number>;
  /** Of tokens: the first lines of the corpus that were left out, if there were any. */
  badLines: BadLine[] | undefined;
  receipts: Receipt[];
}

/**
 * Files and metrics of an artifact whose pieces are all made. Files under work/ are not part of it.
 *
 * @throws UserError when pieces are missing or the whole is empty (a corpus without documents)
 */
export async function commitFiles(store: ArtifactStore, id: ArtifactId): Promise<Finished> {
  const spec = await readSpec(store, id);
  const receipts = await listReceipts(store, id);
  if (receipts.length === 0) throw new UserError(`${id.stage}/${id.key}: nothing was made, there are no receipts`, 'Run the stage again.');
  const files = receipts.flatMap((receipt) => receipt.files).filter(({ path }) => !path.startsWith('work/'));
  const whole = await finish(store, id, spec, receipts);
  const badLines = receipts.flatMap((receipt) => receipt.badLines ?? []).slice(0, MAX_BAD_LINES);
  return { files: [...files, ...(whole.files ?? [])], metrics: whole.metrics, badLines: badLines.length > 0 ? badLines : undefined, receipts };
}

interface Whole {
  files?: FileEntry[];
  metrics: Record<string, number>;
}

async function finish(store: ArtifactStore, id: ArtifactId, spec: Awaited<ReturnType<typeof readSpec>>, receipts: Receipt[]): Promise<Whole> {
  switch (spec.stage) {
    case 'tokenize':
      return { files: await tokenizerFiles(store, id, spec.config.tokenize), metrics: await finishTokens(store, id, spec, receipts) };
    case 'sampleActivations': {
      // of the shards that were made: what an operator skipped was not read
      const coverage = await (await promptPlanOf(store, spec)).coverage(new Set(receipts.map(({ shard }) => shard)));
      const largest = receipts.reduce((most, { metrics }) => Math.max(most, metrics['largest'] ?? 0), 0);
      return { metrics: { ...sums(receipts, ['vectors', 'positions', 'flops', 'fullFlops', 'overflows']), largest, d: receipts[0]!.metrics['d']!, ...coverage } };
    }
    case 'exportDashboard':
      return finishSite(store, id, spec, receipts);
    case 'trainTransformer':
    case 'trainSae':
      return { metrics: receipts[0]!.metrics };
  }
}

async function finishTokens(store: ArtifactStore, id: ArtifactId, spec: SpecOf<'tokenize'>, receipts: Receipt[]): Promise<Record<string, number>> {
  const metrics = sums(receipts, ['documents', 'trainTokens', 'heldOutTokens', 'textBytes', 'badLines', 'emptyDocuments']);
  requireDocuments(metrics['documents']!, []);
  for (const split of ['trainTokens', 'heldOutTokens'] as const) {
    if (metrics[split] === 0) throw new UserError(`tokenize.heldOutFraction ${spec.config.tokenize.heldOutFraction} leaves no ${split === 'trainTokens' ? 'training' : 'held-out'} documents out of ${metrics['documents']}`, 'Change heldOutFraction or use more documents.');
  }
  return { ...metrics, unigramLoss: await unigramLoss(store, id, spec.config.tokenize.vocabSize, receipts) };
}

/** Cross-entropy, nats per token, of held-out tokens under the training tokens' frequencies (add-one smoothed). */
async function unigramLoss(store: ArtifactStore, id: ArtifactId, vocabSize: number, receipts: Receipt[]): Promise<number> {
  const train = new Float64Array(vocabSize).fill(1);
  const heldOut = new Float64Array(vocabSize);
  for (const { files } of receipts) {
    const bytes = await readVerified(store, id, files.find(({ path }) => path.endsWith('.counts.bin'))!);
    const counts = new Uint32Array(bytes.slice().buffer);
    for (let token = 0; token < vocabSize; token++) {
      train[token]! += counts[token]!;
      heldOut[token]! += counts[vocabSize + token]!;
    }
  }
  const trainTotal = train.reduce((a, b) => a + b, 0);
  const heldOutTotal = heldOut.reduce((a, b) => a + b, 0);
  return heldOut.reduce((loss, count, token) => loss - count * Math.log(train[token]! / trainTotal), 0) / heldOutTotal;
}

function sums(receipts: Receipt[], names: string[]): Record<string, number> {
  return Object.fromEntries(names.map((name) => [name, receipts.reduce((total, { metrics }) => total + (metrics[name] ?? 0), 0)]));
}

/** Deletes what only the making needed: checkpoints, activations of held-out windows, parts of the index. */
export async function deleteWork(store: ArtifactStore, id: ArtifactId): Promise<void> {
  await store.deletePrefix(artifactPath(id, 'work/'));
}
