// A dashboard's data for every feature of a small SAE: our export and sae_dashboard (Python) on the same model, held-out
// tokens and SAE. Ours in as many compute processes as it may use threads, as a worker with so many slots has them; the
// peer with so many threads. sae_dashboard gets what ours does too: statistics, histograms, examples by quantile, logit tables,
// correlated neurons and features. Ours also measures losses, ablation effects and probes, and writes its files; neither
// loads its libraries within the time.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { artifactPath, specKey, writeSpec } from '../data/artifact.ts';
import { planStage } from '../data/plans.ts';
import { saeConfig } from '../schemas/config.ts';
import type { SpecOf } from '../schemas/stages.ts';
import { runCommand } from '../setup/command.ts';
import { openTokens } from '../stages/artifacts.ts';
import { ComputePool } from '../workers/computePool.ts';
import { loadBackend } from '../workers/tensorflow.ts';
import { withFolder, writeTensors, type Bench, type BenchOutcome, type BenchSettings } from './bench.ts';
import { dashboardPeers, peersPython } from './peers/setup.ts';
import { compare } from './result.ts';
import { threadEnv } from './side.ts';
import { hook, smallRun } from './smallRun.ts';

const features = 1_024;
const heldOutTokens = 65_536;
/** Enough for every process to have a job. */
const warmUpTokens = 4_096;
const goal = 10;

const answer = z.strictObject({ version: z.string(), seconds: z.number().positive(), features: z.int(), tokens: z.int(), density: z.array(z.number()) });

export const dashboard: Bench = {
  summary: "a dashboard's data for all features: ours and Python's sae_dashboard on the same model, tokens and SAE",
  rounds: 1,
  run: (settings) => withFolder((folder) => run(folder, settings)),
};

async function run(folder: string, { threads, log }: BenchSettings): Promise<BenchOutcome> {
  const python = await peersPython(log, process.env, dashboardPeers);
  const { name, tensorflowVersion } = await loadBackend({ threads });
  const { store, config, tokenize, transformer, make: makeStage, sample } = await smallRun(folder, log);
  const sampled = await sample('float32');
  const sae = await makeStage({ stage: 'trainSae', config: { seed: 1, sae: saeConfig.parse({ features, hook, batchSize: 1_024, learningRate: 1e-3, l1Coefficient: 8e-3, normalizeActivations: 'unit-mean-square', resampling: { steps: [] } }) }, inputs: { sampleActivations: sampled.key } });

  const inputs = { tokenize: tokenize.key, trainTransformer: transformer.key, sampleActivations: sampled.key, trainSae: sae.key };
  const specOn = (tokens: number): SpecOf<'exportDashboard'> => ({ stage: 'exportDashboard', config: { dashboard: { ...config.dashboard, tokens, topExamples: 20, intervals: 11, examplesPerInterval: 5, contextBefore: 24, contextAfter: 8, histogramBins: 40, logitsShown: 10, windowsPerShard: 256, batchWindows: 64, featuresPerBlock: Math.ceil(features / threads) } }, inputs });
  const pool = new ComputePool({ slots: threads, threads: 1, onLine: log });
  const make = async (tokens: number) => {
    const spec = specOn(tokens);
    const artifact = { stage: spec.stage, key: specKey(spec) };
    await writeSpec(store, artifact, spec);
    const { shards, blocks } = await planStage(store, spec);
    const part = { artifact, storeUri: store.uri };
    const started = performance.now();
    await Promise.all(Array.from({ length: shards }, (_, shard) => pool.run({ kind: 'readFeaturesShard', ...part, shard })));
    const read = (performance.now() - started) / 1000;
    await Promise.all(Array.from({ length: blocks }, (_, block) => pool.run({ kind: 'writeFeaturesBlock', ...part, block })));
    return { artifact, blocks, read, seconds: (performance.now() - started) / 1000 };
  };
  const made = async () => {
    await make(warmUpTokens);
    return make(heldOutTokens);
  };
  const { artifact: id, blocks, read, seconds: ours } = await made().finally(() => pool.close());
  log(`ours: ${ours.toFixed(1)} s, ${read.toFixed(1)} of them reading`);

  const { architecture } = config.transformer;
  const { tokens } = await openTokens(store, tokenize.key, 'heldOut');
  const windows = Math.floor(heldOutTokens / architecture.contextLength);
  const data = await writeTensors(folder, 'tokens', { tokens: { shape: [windows, architecture.contextLength], data: Int32Array.from(await tokens.read(0, windows * architecture.contextLength)) } });
  const file = (artifact: typeof transformer, path: string) => join(folder, 'store', artifactPath(artifact, path));
  const given = { data, model: file(transformer, 'model.safetensors'), architecture, sae: join(folder, 'store', artifactPath(sae, '')), hook, threads };
  const { stdout } = await runCommand(python, [peerScript, JSON.stringify(given)], { env: threadEnv(threads, process.env), log, progress: 'sae_dashboard' });
  const peer = answer.parse(JSON.parse(stdout.trim().split('\n').at(-1)!));
  const index = z.looseObject({ density: z.array(z.number()) });
  const density = (await Promise.all(Array.from({ length: blocks }, async (_, block) => index.parse(JSON.parse(Buffer.from(await store.get(artifactPath(id, `work/index/${String(block).padStart(5, '0')}.json`))).toString())).density))).flat();
  const apart = density.reduce((most, value, feature) => Math.max(most, Math.abs(value - peer.density[feature]!)), 0);
  const l0 = density.reduce((sum, value) => sum + value, 0);
  const perThousand = (seconds: number) => (seconds * 1000) / features;
  const perMillion = (seconds: number) => (seconds * 1e6) / (windows * architecture.contextLength);
  return {
    cases: [
      compare('per 1,000 features', 's', perThousand(ours), perThousand(peer.seconds), peer.version, { goal, note: `${windows * architecture.contextLength} tokens` }),
      compare('per million tokens', 's', perMillion(ours), perMillion(peer.seconds), peer.version, { goal, note: `${features} features` }),
    ],
    notes: [`L0 ${l0.toFixed(1)}; densities of features differ by at most ${apart.toExponential(1)}`, 'ours also measures four losses, ablation effects and probes and writes all files; sae_dashboard keeps its result in memory'],
    backend: `${name} ${tensorflowVersion}`,
  };
}

const peerScript = fileURLToPath(new URL('./peers/dashboard.py', import.meta.url));
