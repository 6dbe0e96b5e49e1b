// All workflow types, as Temporal's bundler wants them: one module whose exports are the types' names.
export { collectGarbage } from './collectGarbage.ts';
export { exportDashboard } from './exportDashboard.ts';
export { labelFeatures } from './labelFeatures.ts';
export { pipeline } from './pipeline.ts';
export { sampleActivations } from './sampleActivations.ts';
export { shardPartition } from './shardPartition.ts';
export { supplyActivations } from './supplyActivations.ts';
export { tokenize } from './tokenize.ts';
export { trainSae } from './trainSae.ts';
export { trainTransformer } from './trainTransformer.ts';
