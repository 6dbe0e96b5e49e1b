// What storing activations in half precision costs the SAE: the same run with float16 and float32 activations, three
// seeds, judged on the same held-out tokens. The numbers of docs/numerics.md.
import { saeConfig, type ActivationsConfig } from '../schemas/config.ts';
import { loadBackend } from '../workers/tensorflow.ts';
import { alignTable } from '../schemas/format.ts';
import { withFolder, type Bench, type BenchOutcome, type BenchSettings } from './bench.ts';
import { mean, spread } from './parityCurves.ts';
import { compare, type BenchCase } from './result.ts';
import { hook, smallRun, type SmallRun } from './smallRun.ts';

const seeds = [1, 2, 3];
const sae = { hook, features: 512, batchSize: 1_024, epochs: 4, learningRate: 1e-3, l1Coefficient: 4e-3, decayFraction: 0.2, resampling: { steps: [200, 500, 800], deadWindowSteps: 100, candidates: 32_768 } };

const judged = ['fvu', 'mse', 'l0', 'lossRecovered', 'lossReconstructed', 'alive'] as const;
const units: Record<(typeof judged)[number], BenchCase['unit']> = { fvu: 'share', mse: 'MSE per component', l0: 'features', lossRecovered: 'share', lossReconstructed: 'nats per token', alive: 'features' };
type Judged = Record<(typeof judged)[number], number>;

export const float16: Bench = {
  summary: 'SAEs trained on activations stored in float16 and in float32: MSE, L0, FVU, loss recovered',
  rounds: 1,
  run: (settings) => withFolder((folder) => run(folder, settings)),
};

async function run(folder: string, { threads, log }: BenchSettings): Promise<BenchOutcome> {
  const { name, tensorflowVersion, sae: trainer } = await loadBackend({ threads });
  const small = await smallRun(folder, log);
  const results: Record<ActivationsConfig['dtype'], Judged[]> = { float16: [], float32: [] };
  for (const seed of seeds) {
    for (const dtype of ['float32', 'float16'] as const) {
      const result = await train(small, dtype, seed);
      results[dtype].push(result);
      log(`seed ${seed}, ${dtype}: FVU ${result.fvu.toFixed(5)}, L0 ${result.l0.toFixed(2)}, loss recovered ${result.lossRecovered.toFixed(5)}`);
    }
  }
  const of = (dtype: ActivationsConfig['dtype'], metric: keyof Judged) => results[dtype].map((result) => result[metric]);
  // same seed, same order, same initial weights: a difference is the storage's
  const effect = (metric: keyof Judged) => of('float16', metric).map((value, seed) => value - of('float32', metric)[seed]!);
  const show = (value: number) => value.toPrecision(4);
  const rows = judged.map((metric) => [metric, show(mean(of('float32', metric))), show(mean(of('float16', metric))), show(mean(effect(metric))), show(Math.max(...effect(metric).map(Math.abs))), show(spread(of('float32', metric)))]);
  for (const line of alignTable([['', 'float32', 'float16', 'difference, mean', 'largest of a seed', 'spread of seeds'], ...rows], [1, 2, 3, 4, 5])) log(line);
  const cases = judged.map((metric) => compare(metric, units[metric], mean(of('float16', metric)), mean(of('float32', metric)), 'activations stored in float32'));
  const notes = [
    ...judged.map((metric) => `${metric}: float16 differs by ${show(mean(effect(metric)))} on average, by ${show(Math.max(...effect(metric).map(Math.abs)))} at most of one seed; seeds differ by ${show(spread(of('float32', metric)))}`),
    ...(await sizes(small)),
  ];
  return { cases, notes, backend: `${name} ${tensorflowVersion}, SAE on ${trainer}` };
}

/** An SAE on activations of this type, evaluated as the dashboard does. */
async function train(small: SmallRun, dtype: ActivationsConfig['dtype'], seed: number): Promise<Judged> {
  const { make, config, tokenize, transformer } = small;
  const activations = await small.sample(dtype);
  const trained = await make({ stage: 'trainSae', config: { seed, sae: saeConfig.parse(sae) }, inputs: { sampleActivations: activations.key } });
  const dashboard = { ...config.dashboard, tokens: null, windowsPerShard: 512, batchWindows: 64, featuresPerBlock: sae.features };
  const inputs = { tokenize: tokenize.key, trainTransformer: transformer.key, sampleActivations: activations.key, trainSae: trained.key };
  const { metrics } = await make({ stage: 'exportDashboard', config: { dashboard }, inputs });
  return Object.fromEntries(judged.map((metric) => [metric, metrics[metric]!])) as Judged;
}

async function sizes(small: SmallRun): Promise<string[]> {
  const [half, full] = [await small.sample('float16'), await small.sample('float32')];
  const megabytes = ({ bytes }: { bytes: number }) => (bytes / 1e6).toFixed(0);
  return [`${half.metrics['vectors']} vectors take ${megabytes(half)} MB in float16, ${megabytes(full)} MB in float32; ${half.metrics['overflows']} numbers were too large for float16`];
}
