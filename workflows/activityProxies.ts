// The activities as workflows call them: each group with its row of the table in policies.ts.
import { proxyActivities } from '@temporalio/workflow';
import type { CpuActivities } from '../activities/cpu.ts';
import type { GpuActivities } from '../activities/gpu.ts';
import { policies } from './policies.ts';

export const short = proxyActivities<Pick<CpuActivities, 'hashConfig' | 'planStage'>>(policies.short);
export const scan = proxyActivities<Pick<CpuActivities, 'resolveCorpus' | 'commitStage' | 'publishRun'>>(policies.scan);
export const comparisons = proxyActivities<Pick<CpuActivities, 'findPreviousRun' | 'compareSaes'>>(policies.comparison);
export const training = proxyActivities<Pick<GpuActivities, 'trainTransformerSegment' | 'initialiseSae' | 'trainSaeSegment' | 'resampleSae'>>(policies.segment);
export const cpuShards = proxyActivities<Pick<CpuActivities, 'tokenizeShard'>>(policies.cpuShard);
export const gpuShards = proxyActivities<Pick<GpuActivities, 'sampleShard' | 'readFeaturesShard' | 'writeFeaturesBlock'>>(policies.gpuShard);
