// Where an artifact came from: itself, what it was made from, and so on down to the files of the corpus, as manifests
// tell it; and where an example on a feature's page came from, down to the token of a document.
import { z } from 'zod';
import type { Manifest } from '../schemas/artifact.ts';
import { featureChunk, featuresPerChunk, type Example } from '../schemas/dashboard.ts';
import { UserError } from '../schemas/errors.ts';
import { stageNames, type ArtifactId } from '../schemas/stages.ts';
import { artifactPath, readManifest, readVerified } from './artifact.ts';
import { NotFoundError, type ArtifactStore } from './artifactStore.ts';
import { manifestOf } from './inputs.ts';
import { corpusPath } from './plans.ts';
import { readDocumentIndex } from './tokenShard.ts';

/** One artifact of a lineage. */
export interface LineageArtifact extends ArtifactId {
  /** False where its manifest is not in the store: it was deleted, or never finished. */
  found: boolean;
  bytes?: number;
  files?: number;
  skippedShards?: number[];
  provenance?: Manifest['provenance'];
  /** Artifacts it was made from, in this list too. */
  inputs: ArtifactId[];
  /** Key of the corpus, where it was made from text. */
  corpus?: string;
}

export interface LineageCorpus {
  key: string;
  /** Empty where the list of its files is not in the store. */
  files: { name: string; bytes: number; sha256: string }[];
}

/** The artifact asked for first, each one once. */
export interface Lineage {
  artifacts: LineageArtifact[];
  corpora: LineageCorpus[];
}

/** All that some artifacts were made from. Nothing is re-hashed: `verifyArtifact` does that. */
export async function lineageOf(store: ArtifactStore, roots: readonly ArtifactId[]): Promise<Lineage> {
  const artifacts = new Map<string, LineageArtifact>();
  const corpora = new Map<string, LineageCorpus>();
  const pending = [...roots];
  for (let id = pending.shift(); id; id = pending.shift()) {
    const name = artifactPath(id, '');
    if (artifacts.has(name)) continue;
    const manifest = await readManifest(store, id);
    if (manifest === null) {
      artifacts.set(name, { stage: id.stage, key: id.key, found: false, inputs: [] });
      continue;
    }
    const inputs = Object.entries(manifest.inputs).flatMap(([input, key]) => stageNames.filter((stage) => stage === input).map((stage) => ({ stage, key })));
    const { corpus } = manifest.inputs;
    artifacts.set(name, {
      stage: id.stage,
      key: id.key,
      found: true,
      bytes: manifest.bytes,
      files: manifest.files.length,
      skippedShards: manifest.shards.skipped,
      provenance: manifest.provenance,
      inputs,
      ...(corpus === undefined ? {} : { corpus }),
    });
    if (corpus !== undefined && !corpora.has(corpus)) corpora.set(corpus, await readCorpus(store, corpus));
    pending.push(...inputs);
  }
  return { artifacts: [...artifacts.values()], corpora: [...corpora.values()] };
}

/** The part of a corpus file's record that says what it was. */
const corpusFiles = z.array(z.object({ name: z.string(), bytes: z.int(), sha256: z.string() }));

async function readCorpus(store: ArtifactStore, key: string): Promise<LineageCorpus> {
  try {
    return { key, files: corpusFiles.parse(JSON.parse(Buffer.from(await store.get(corpusPath(key))).toString())) };
  } catch (error) {
    if (error instanceof NotFoundError) return { key, files: [] };
    throw error;
  }
}

/** Where an example of a feature came from. */
export interface ExampleLineage {
  feature: number;
  /** From 1 up, the strongest first. */
  example: number;
  examples: number;
  activation: number;
  /** Id of the token on which the feature fired. */
  token: number;
  document: Example['document'];
  /** File of the tokenize artifact, and the token's place in it. */
  tokens: ArtifactId & { path: string; index: number };
  /** Held-out activations are computed when pages are made, by these. */
  model: ArtifactId;
  sae: ArtifactId;
}

/**
 * The document and token of example `number` (from 1 up) of a feature of a dashboard.
 *
 * @throws UserError when there is no such feature or example, or the tokens are not what the page says.
 */
export async function exampleLineage(store: ArtifactStore, dashboard: ArtifactId, feature: number, number: number): Promise<ExampleLineage> {
  const { inputs, files } = await manifestOf(store, dashboard.stage, dashboard.key);
  const chunkPath = `site/data/features/${String(Math.floor(feature / featuresPerChunk)).padStart(5, '0')}.json`;
  const entry = files.find(({ path }) => path === chunkPath);
  const page = entry && featureChunk.parse(JSON.parse(Buffer.from(await readVerified(store, dashboard, entry)).toString())).find((one) => one.feature === feature);
  if (page === undefined) throw new UserError(`${dashboard.stage}/${dashboard.key} has no feature ${feature}`, 'saeflow report says how many features an SAE has; they are counted from 0.');
  const example = page.top[number - 1];
  if (example === undefined) throw new UserError(`feature ${feature} has ${page.top.length} top examples, there is no example ${number}`, page.top.length === 0 ? 'The feature never fired on held-out text.' : `Use a number from 1 to ${page.top.length}.`);
  const { document, value, tokens, centre } = example;
  return {
    feature,
    example: number,
    examples: page.top.length,
    activation: value,
    token: tokens[centre]!,
    document,
    tokens: await placeOf(store, inputs['tokenize']!, document, tokens[centre]!),
    model: { stage: 'trainTransformer', key: inputs['trainTransformer']! },
    sae: { stage: 'trainSae', key: inputs['trainSae']! },
  };
}

/** Finds the document in the index of held-out tokens, and checks that the token is there. */
async function placeOf(store: ArtifactStore, key: string, { id, file, line, offset }: Example['document'], token: number): Promise<ExampleLineage['tokens']> {
  const artifact: ArtifactId = { stage: 'tokenize', key };
  const { files } = await manifestOf(store, 'tokenize', key);
  for (const entry of files.filter(({ path }) => path.endsWith('.documents.parquet'))) {
    const rows = await readDocumentIndex(await readVerified(store, artifact, entry));
    const row = rows.find((one) => one.split === 'heldOut' && one.id === id && one.file === file && one.line === line);
    if (row === undefined) continue;
    const path = entry.path.replace('.documents.parquet', '.heldOut.bin');
    const held = files.find((one) => one.path === path)!;
    const index = row.start + offset;
    const bytesPerToken = held.bytes / held.rows!;
    const bytes = Buffer.from(await store.range(artifactPath(artifact, path), index * bytesPerToken, bytesPerToken));
    const found = bytes.readUIntLE(0, bytesPerToken);
    if (found === token) return { ...artifact, path, index };
    throw new UserError(`${store.uri}/${artifactPath(artifact, path)}: token ${index} is ${found}, the page says ${token}`, 'Run saeflow verify: one of the two is not what was written.');
  }
  throw new UserError(`no document ${id} of ${file} line ${line} is in the index of tokenize/${key}`, 'Run saeflow verify: the page and the tokens do not belong together.');
}
