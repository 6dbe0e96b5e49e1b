// Activities of the cpu queue: look-ups and plans that must never wait for a GPU, tokenizing, commits, comparisons and
// reports.
import { readManifest, refOf, specKey, writeSpec } from '../data/artifact.ts';
import { configHash } from '../data/configHash.ts';
import { planStage } from '../data/plans.ts';
import { specOf } from '../data/inputs.ts';
import { findPreviousRun } from '../data/previousRun.ts';
import type { FinishedRun } from '../data/report.ts';
import { dropShards, shardsThere } from '../data/shardFiles.ts';
import { planReading, planSupply } from '../data/supplyPlan.ts';
import { resolveTokenizer } from '../data/tokenizerFile.ts';
import { changes, comparedKeys, type ComparedKeys, type PreviousRun, type SaeComparison } from '../schemas/comparison.ts';
import { corpusConfig, pipelineConfig, tokenizeConfig, type CorpusConfig, type PipelineConfig, type TokenizeConfig } from '../schemas/config.ts';
import { garbageInput, type GarbageReport, type GarbageSearchInput } from '../schemas/garbage.ts';
import { labelBatchInput, type LabelBatchInput, type LabelBatchResult } from '../schemas/labels.ts';
import { stageResult, type StagePlan } from '../schemas/progress.ts';
import type { ArtifactRef } from '../schemas/artifact.ts';
import { artifactId, stageSpec, type ArtifactId, type StageSpec } from '../schemas/stages.ts';
import type { Reading, ShardsThere } from '../schemas/supply.ts';
import { whileBeating } from './beat.ts';
import { collectGarbage } from './collectGarbage.ts';
import { compareSaes, previousRunInput, type PreviousRunInput } from './comparison.ts';
import { commitInput, commitStage, type CommitInput } from './commitStage.ts';
import type { ActivityDeps } from './deps.ts';
import { dropInput, readingInput, type DropInput, type ReadingInput } from './shardSupply.ts';
import { withFailures } from './failures.ts';
import { labelBatch } from './labelBatch.ts';
import { publishRun } from './publishRun.ts';
import { resolveCorpus, type CorpusRef } from './resolveCorpus.ts';
import { runShardJob, shardInput, type ShardInput, type ShardSummary } from './shardJob.ts';

/** The activities of the cpu queue, all safe to repeat. */
export function createCpuActivities(deps: ActivityDeps) {
  const { store } = deps;
  return withFailures({
    /** Equal for runs that make the same things from files of the same names. */
    async hashConfig(input: PipelineConfig): Promise<string> {
      return configHash(pipelineConfig.parse(input));
    },

    async resolveCorpus(input: CorpusConfig): Promise<CorpusRef> {
      return whileBeating(() => resolveCorpus(deps, corpusConfig.parse(input)));
    },

    /** Finds the file of an imported tokenizer and keeps it in the store. */
    async resolveTokenizer(input: TokenizeConfig): Promise<TokenizeConfig> {
      return whileBeating(() => resolveTokenizer(store, tokenizeConfig.parse(input), deps.cwd));
    },

    /** Finds the artifact of a spec, or says what is to be done for it. */
    async planStage(input: StageSpec): Promise<StagePlan> {
      const spec = stageSpec.parse(input);
      const id = { stage: spec.stage, key: specKey(spec) };
      return whileBeating(async () => {
        const manifest = await readManifest(store, id);
        if (manifest !== null) return { key: id.key, found: refOf(manifest, store.uri), shards: 0, blocks: 0, milestones: [], resamplings: [] };
        await writeSpec(store, id, spec);
        return { key: id.key, found: null, ...(await planStage(store, spec)), ...(await planSupply(store, spec)) };
      });
    },

    /** Which shards the next job of an SAE's training reads, where they are made while it reads. */
    async planReading(input: ReadingInput): Promise<Reading> {
      const { artifact, job } = readingInput.parse(input);
      return whileBeating(async () => planReading(store, await specOf(store, artifact, 'trainSae'), job));
    },

    /** Which activation shards there are. */
    async lookAtShards(input: ArtifactId): Promise<ShardsThere> {
      const id = artifactId.parse(input);
      return whileBeating(() => shardsThere(store, id));
    },

    /** Deletes activation shards that have been read. */
    async dropShards(input: DropInput): Promise<void> {
      const { artifact, shards } = dropInput.parse(input);
      return whileBeating(() => dropShards(store, artifact, shards));
    },

    async tokenizeShard(input: ShardInput): Promise<ShardSummary> {
      const { artifact, shard } = shardInput.parse(input);
      return runShardJob(deps, { kind: 'tokenizeShard', artifact, storeUri: store.uri, shard }, shard);
    },

    async commitStage(input: CommitInput): Promise<ArtifactRef> {
      const parsed = commitInput.parse(input);
      return whileBeating(() => commitStage(deps, parsed));
    },

    /** The last published run of a name, if any. */
    async findPreviousRun(input: PreviousRunInput): Promise<PreviousRun | null> {
      const { run } = previousRunInput.parse(input);
      return whileBeating(() => findPreviousRun(store, run));
    },

    async compareSaes(input: ComparedKeys): Promise<SaeComparison> {
      return compareSaes(deps, comparedKeys.parse(input));
    },

    /** Asks an endpoint for labels of features: only on request (`saeflow label`). */
    async labelBatch(input: LabelBatchInput): Promise<LabelBatchResult> {
      const parsed = labelBatchInput.parse(input);
      return whileBeating(() => labelBatch(store, parsed));
    },

    /** What nobody will ask for again: listed, or deleted. */
    async collectGarbage(input: GarbageSearchInput): Promise<GarbageReport> {
      const parsed = garbageInput.parse(input);
      return whileBeating(() => collectGarbage(store, parsed));
    },

    async publishRun(input: FinishedRun): Promise<{ reportUri: string }> {
      const parsed = { ...input, config: pipelineConfig.parse(input.config), stages: stageResult.array().parse(input.stages), changes: changes.parse(input.changes) };
      return whileBeating(() => publishRun(store, parsed));
    },
  });
}

export type CpuActivities = ReturnType<typeof createCpuActivities>;
