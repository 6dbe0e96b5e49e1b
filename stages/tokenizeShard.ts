// One corpus shard to token files: nanoGPT-readable .bin of either split, the document index, and token counts, from
// which the unigram entropy is computed without reading the tokens again.
import { artifactPath } from '../data/artifact.ts';
import { corpusShard } from '../data/corpusShards.ts';
import { emptyReadStats, readDocuments, type Document } from '../data/documents.ts';
import { defaultPatience } from '../data/patience.ts';
import { decodeTokens, encodeTokenShard } from '../data/tokenShard.ts';
import { openTokenizer } from '../data/tokenizerFile.ts';
import type { FileEntry, Receipt } from '../schemas/artifact.ts';
import { UserError } from '../schemas/errors.ts';
import type { ArtifactId } from '../schemas/stages.ts';
import { specOf } from '../data/inputs.ts';
import { breathe, StoppedError, type JobContext } from './context.ts';

const signOfLifeBytes = 8 * 2 ** 20;

/** Tokenizes shard `shard` of the plan. Throws UserError for a corpus that can't be read. */
export async function tokenizeShard(id: ArtifactId, shard: number, context: JobContext): Promise<Receipt> {
  const started = performance.now();
  const { store } = context;
  const { config } = await specOf(store, id, 'tokenize');
  const plan = corpusShard.array().parse(JSON.parse(Buffer.from(await store.get(artifactPath(id, 'plan.json'))).toString()));
  const part = plan[shard];
  if (part === undefined) throw new UserError(`shard ${shard} is not in the plan of ${plan.length} shards`, 'Use a shard number below that.');
  const stats = emptyReadStats();
  const tokenizer = await openTokenizer(store, id, config.tokenize);
  const progress = new Progress(part.bytes, context);
  const patience = { ...defaultPatience, onBytes: (bytes: number) => progress.arrived(bytes) };
  const documents = withProgress(readDocuments(part, { ...config.corpus, patience }, stats), progress, context);
  const encoded = await encodeTokenShard(documents, tokenizer, config.tokenize);

  const name = `shards/${String(shard).padStart(5, '0')}`;
  const { counts } = encoded;
  const files: FileEntry[] = [];
  const put = async (path: string, bytes: Uint8Array, rows: number) => files.push({ path, ...(await store.put(artifactPath(id, path), bytes)), rows });
  await put(`${name}.train.bin`, encoded.train, counts.trainTokens);
  await put(`${name}.heldOut.bin`, encoded.heldOut, counts.heldOutTokens);
  await put(`${name}.documents.parquet`, encoded.documents, counts.documents);
  const histogram = new Uint32Array(2 * tokenizer.vocabSize);
  for (const token of decodeTokens(encoded.train, tokenizer.vocabSize)) histogram[token]!++;
  for (const token of decodeTokens(encoded.heldOut, tokenizer.vocabSize)) histogram[tokenizer.vocabSize + token]!++;
  await put(`${name}.counts.bin`, new Uint8Array(histogram.buffer), 2);
  const { documents: total, trainTokens, heldOutTokens, textBytes } = counts;
  const metrics = { documents: total, trainTokens, heldOutTokens, textBytes, badLines: stats.bad, emptyDocuments: stats.empty };
  const badLines = stats.samples.length > 0 ? { badLines: stats.samples } : {};
  return { shard, files, metrics, ...badLines, seconds: (performance.now() - started) / 1000, device: 'cpu' };
}

/** How far a shard is, in bytes of text. */
class Progress {
  private textBytes = 0;
  private silentBytes = 0;

  constructor(
    private readonly totalBytes: number,
    private readonly context: JobContext,
  ) {}

  read(textBytes: number): void {
    this.textBytes += textBytes;
  }

  /** A file fetched whole gives no document until it is there; who watches must not take that for a hang. */
  arrived(bytes: number): void {
    this.silentBytes += bytes;
    if (this.silentBytes >= signOfLifeBytes) this.report();
  }

  report(): void {
    this.silentBytes = 0;
    this.context.report({ done: Math.min(this.textBytes, this.totalBytes), total: Math.max(1, this.totalBytes), unit: 'bytes', metrics: {} });
  }
}

async function* withProgress(documents: AsyncIterable<Document>, progress: Progress, context: JobContext): AsyncGenerator<Document> {
  let count = 0;
  for await (const document of documents) {
    progress.read(Buffer.byteLength(document.text));
    if (++count % 64 === 0) {
      progress.report();
      await breathe();
      if (context.shouldStop()) throw new StoppedError();
    }
    yield document;
  }
}
