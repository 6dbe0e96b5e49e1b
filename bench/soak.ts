// Not how fast but how steady: a whole run on a large corpus through the command, its server, worker and compute processes,
// as a person starts it, one of which is killed on the way; memory of each and disk are looked at all the time.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bytesPerNumber } from '../data/activationFormat.ts';
import { openStore } from '../data/artifactStore.ts';
import { manifest as artifactManifest } from '../schemas/artifact.ts';
import type { PipelineInput } from '../schemas/config.ts';
import { withFolder, type Bench, type BenchOutcome, type BenchSettings } from './bench.ts';
import { compare, megabytes } from './result.ts';
import { soakChart } from './soakChart.ts';
import { SoakProbe, type SoakSample } from './soakProbe.ts';

const usualVectors = 20_000_000;
const positionsPerPrompt = 192;
const d = 256;
/**
 * MB each kind of process may take, however long the run: a third to two thirds above the peaks of runs of 1.5 and 4 million
 * vectors (1,136, 506, 181 and 192 MB), which hardly differ. A run of a few hundred thousand takes more: the pages of
 * features of an SAE that had too few steps to become sparse.
 */
const budgetMegabytes: Record<string, number> = { 'compute process': 1_500, worker: 700, 'Temporal server': 300, command: 300 };
const sampleEveryMs = 1_000;

export const soak: Bench = {
  summary: 'a whole run to 20 million vectors (--vectors) on a text of yours (--corpus) with a compute process killed: peak memory, disk over time',
  rounds: 1,
  run: (settings) => withFolder((folder) => run(folder, settings)),
};

/** The demo's with a narrower MLP, and a transformer that stops early: vectors are to be many, not good. */
function configOf(vectors: number): PipelineInput & { preset: 'demo' } {
  const prompts = Math.ceil(vectors / positionsPerPrompt);
  const promptsPerShard = Math.min(1_000, Math.ceil(prompts / 8));
  const steps = Math.floor((prompts * positionsPerPrompt) / 4_096);
  return {
    preset: 'demo',
    name: 'soak',
    transformer: { architecture: { dMlp: d }, training: { steps: 60, evaluateEverySteps: 30 } },
    activations: { prompts, positionsPerPrompt, promptsPerShard },
    saes: [{ features: 2 * d, l1Coefficient: 8e-3, normalizeActivations: 'unit-mean-square', batchSize: 4_096, mixShards: 20, resampling: { steps: steps > 800 ? [250, 500] : [], deadWindowSteps: 200, candidates: 32_768 }, segmentSteps: 500, checkpointEverySteps: 250 }],
    // A block of features is in memory with all it fired on, and an SAE of few steps fires on half of the text: so much
    // held-out text as the demo's, whatever the corpus, and few features at a time.
    dashboard: { tokens: 500_000, featuresPerBlock: 64, correlationTokens: 2 ** 17 },
  };
}

/** @throws Error when the run fails, has other vectors than asked for, or survives no killed process. */
async function run(folder: string, { corpus, vectors = usualVectors, log }: BenchSettings): Promise<BenchOutcome> {
  const config = join(folder, 'soak.json');
  const state = join(folder, 'state');
  const store = join(folder, 'store');
  await writeFile(config, JSON.stringify(configOf(vectors)));
  const command = fileURLToPath(new URL('../bin/saeflow.mjs', import.meta.url));
  const text = corpus === undefined ? [] : ['--corpus', resolve(corpus)];
  const output = join(folder, 'output.txt');
  const child = spawn(process.execPath, [command, 'run', '--config', config, '--store', store, '--stop', ...text], { cwd: folder, env: { ...process.env, SAEFLOW_STATE_DIR: state }, stdio: ['ignore', 'pipe', 'pipe'] });
  const file = createWriteStream(output);
  child.stdout.pipe(file, { end: false });
  child.stderr.pipe(file, { end: false });
  const probe = new SoakProbe(folder, state);
  const ended = once(child, 'exit') as Promise<[number | null]>;
  const killAfterBytes = (vectors * d * bytesPerNumber.float16) / 2;
  let killed: SoakSample | undefined;
  let over = false;
  void ended.then(() => (over = true));
  while (!over) {
    const sample = await probe.sample();
    // In the middle of sampling: half of the vectors are on the disk.
    if (killed === undefined && sample.activationBytes > killAfterBytes && probe.kill('compute process')) {
      killed = sample;
      log(`a compute process is killed at ${sample.seconds.toFixed(0)} s`);
    }
    if (probe.samples.length % 30 === 0) log(`${sample.seconds.toFixed(0)} s: ${(sample.diskBytes / 1e9).toFixed(2)} GB on the disk, ${probe.describe(sample)}`);
    await Promise.race([ended, new Promise((done) => setTimeout(done, sampleEveryMs))]);
  }
  const [code] = await ended;
  if (code !== 0) throw new Error(`the run ended with ${code}:\n${readFileSync(output, 'utf8').slice(-4_000)}`);
  return outcomeOf(await vectorsIn(store), vectors, probe, killed, corpus);
}

/** Vectors that the run's manifest names. */
async function vectorsIn(folder: string): Promise<number> {
  const store = openStore(folder);
  const paths = (await store.list('sampleActivations/')).map(({ path }) => path).filter((path) => path.endsWith('/manifest.json'));
  const manifests = await Promise.all(paths.map(async (path) => artifactManifest.parse(JSON.parse(Buffer.from(await store.get(path)).toString()))));
  return manifests.flatMap(({ files }) => files).reduce((sum, { rows = 0 }) => sum + rows, 0);
}

function outcomeOf(found: number, vectors: number, probe: SoakProbe, killed: SoakSample | undefined, corpus: string | undefined): BenchOutcome {
  if (found < vectors) throw new Error(`the run has ${found} vectors, ${vectors} were asked for`);
  if (killed === undefined) throw new Error('no compute process was killed: the run was over too soon; ask for more vectors');
  const { samples, peaks } = probe;
  const seconds = samples.at(-1)!.seconds;
  const diskBytes = Math.max(...samples.map((sample) => sample.diskBytes));
  const activationBytes = found * (d * bytesPerNumber.float16 + 12);
  const memory = Object.entries(budgetMegabytes).map(([role, budget]) => {
    const peak = peaks.get(role);
    if (peak === undefined) throw new Error(`no ${role} was seen`);
    return compare(`${role}: peak resident memory`, 'MB', megabytes(peak), budget, 'the budget (bench/soak.ts)', { goal: 1 });
  });
  return {
    cases: [...memory, compare('disk at its fullest', 'MB', megabytes(diskBytes), megabytes(activationBytes), 'the vectors alone, float16 and their origin')],
    notes: [
      `${found.toLocaleString('en')} vectors of ${d} and all stages in ${seconds.toFixed(0)} s, on ${corpus === undefined ? "the demo's corpus" : `${(probe.corpusBytes(corpus) / 1e6).toFixed(0)} MB of text`}; a compute process was killed at ${killed.seconds.toFixed(0)} s`,
      '![memory of each process and disk over time](results/soak.svg)',
    ],
    backend: 'a run by the command, on its own Temporal server',
    files: { 'soak.svg': soakChart(samples, killed.seconds) },
  };
}
