// The activities as workflows call them: each group with its row of the table in policies.ts, and where callers say
// nothing better, with the summary that the UI shows beside an activity's name.
import { proxyActivities } from '@temporalio/workflow';
import type { CpuActivities } from '../activities/cpu.ts';
import type { GpuActivities } from '../activities/gpu.ts';
import { policies } from './policies.ts';

export const short = {
  hashConfig: proxyActivities<Pick<CpuActivities, 'hashConfig'>>({ ...policies.short, summary: 'name the run by its configuration' }).hashConfig,
  planStage: proxyActivities<Pick<CpuActivities, 'planStage'>>({ ...policies.short, summary: 'look in the store, plan the work' }).planStage,
};
export const scan = {
  resolveCorpus: proxyActivities<Pick<CpuActivities, 'resolveCorpus'>>({ ...policies.scan, summary: 'find and hash the corpus' }).resolveCorpus,
  resolveTokenizer: proxyActivities<Pick<CpuActivities, 'resolveTokenizer'>>({ ...policies.scan, summary: 'find and hash the tokenizer' }).resolveTokenizer,
  commitStage: proxyActivities<Pick<CpuActivities, 'commitStage'>>({ ...policies.scan, summary: 'commit: write the manifest' }).commitStage,
  publishRun: proxyActivities<Pick<CpuActivities, 'publishRun'>>({ ...policies.scan, summary: 'write the report and the pages' }).publishRun,
};
export const shardFiles = proxyActivities<Pick<CpuActivities, 'planReading' | 'lookAtShards' | 'dropShards'>>(policies.scan);
export const comparisons = proxyActivities<Pick<CpuActivities, 'findPreviousRun' | 'compareSaes'>>(policies.comparison);
export const garbage = proxyActivities<Pick<CpuActivities, 'collectGarbage'>>({ ...policies.scan, summary: 'search the store' });
export const labels = proxyActivities<Pick<CpuActivities, 'labelBatch'>>({ ...policies.labels, summary: 'ask for labels' });
export const training = proxyActivities<Pick<GpuActivities, 'trainTransformerSegment' | 'initialiseSae' | 'trainSaeSegment' | 'resampleSae'>>(policies.segment);
export const cpuShards = proxyActivities<Pick<CpuActivities, 'tokenizeShard'>>(policies.cpuShard);
export const gpuShards = proxyActivities<Pick<GpuActivities, 'sampleShard' | 'supplyShard' | 'readFeaturesShard' | 'writeFeaturesBlock' | 'mapFeatures' | 'writeTexts'>>(policies.gpuShard);
