// Everything of a run of chaos: the unbroken run whose hashes are wanted, then the broken ones, each on servers, workers and
// a store of its own.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { resolveCorpus } from '../activities/resolveCorpus.ts';
import { writeTestCorpus } from '../bench/corpus.ts';
import { Stopped } from '../cli/errors.ts';
import { openStore } from '../data/artifactStore.ts';
import { resolveInput } from '../presets/resolve.ts';
import type { PipelineInput } from '../schemas/config.ts';
import { runPipeline } from '../stages/inProcess.ts';
import { loadBackend } from '../workers/tensorflow.ts';
import { breakRun, type BrokenRun } from './brokenRun.ts';
import { Cluster } from './cluster.ts';
import { planStrikes, type PlanOptions } from './plan.ts';

export interface ChaosOptions extends PlanOptions {
  /** Leaves stores, databases and logs where they are, and says where. */
  keep: boolean;
  say(line: string): void;
  /** Ends the run in order: processes, and the disk that was mounted. */
  signal?: AbortSignal;
}

export interface ChaosResult {
  seed: number;
  unbrokenSeconds: number;
  runs: (BrokenRun & { hashesEqual: boolean })[];
}

/** The tiny preset with shards and segments that last many times longer than the time between heartbeats, so that a kill finds its stage at work. */
const tinyButLong: { preset: string } & PipelineInput = {
  preset: 'tiny',
  tokenize: { heldOutFraction: 0.3, shardBytes: 64 * 2 ** 10 },
  transformer: { training: { steps: 800, evaluateEverySteps: 200, checkpointEverySteps: 20 } },
  activations: { prompts: 2_400, positionsPerPrompt: 32, promptsPerShard: 300, batchPrompts: 1 },
  saes: [{ features: 512, epochs: 4, batchSize: 256, segmentSteps: 400, checkpointEverySteps: 20, resampling: { steps: [300, 700], deadWindowSteps: 200, candidates: 1_024 } }],
  dashboard: { tokens: 65_536, windowsPerShard: 256, batchWindows: 1, featuresPerBlock: 64 },
  execution: { concurrency: 2, shardAttempts: 20 },
};
const documentsPerLanguage = 200;

/** Carries out the plan of `options`. Throws when a run fails or makes no progress. */
export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const { seed, keep, say, signal } = options;
  const folder = await mkdtemp(join(tmpdir(), 'saeflow-chaos-'));
  const corpus = await writeTestCorpus(join(folder, 'corpus.jsonl'), documentsPerLanguage);
  const input = { ...tinyButLong, corpus: { paths: [corpus] } };
  let whole = false;
  try {
    const started = performance.now();
    const wanted = await unbrokenRun(join(folder, 'unbroken'), input);
    const result: ChaosResult = { seed, unbrokenSeconds: (performance.now() - started) / 1_000, runs: [] };
    say(`unbroken: ${result.unbrokenSeconds.toFixed(0)} s in one process, without Temporal`);
    for (const [index, { store, strikes }] of planStrikes(options).entries()) {
      say(`run ${index + 1} of ${options.runs}, on ${store === 's3' ? 'S3' : 'a folder'}: ${strikes.length} kills`);
      const cluster = await Cluster.start(join(folder, `run-${index + 1}`), store, { fillable: options.victims.includes('disk'), say });
      try {
        const aborted = new Promise<never>((_, reject) => signal?.addEventListener('abort', () => reject(new Stopped()), { once: true }));
        const run = await Promise.race([breakRun(cluster, store, input, strikes, say), aborted]);
        const hashesEqual = JSON.stringify(run.made) === JSON.stringify(wanted);
        result.runs.push({ ...run, hashesEqual });
        // Said at once: a long run that is stopped has then told of what it finished.
        say(`  ended after ${run.seconds.toFixed(0)} s: hashes ${hashesEqual ? 'equal' : 'DIFFERENT'}, ${run.damaged.length} files damaged, ${run.ledger.duplicates.length} shards computed again, ${run.strays.before} strays, ${run.strays.after} after gc`);
      } finally {
        await cluster.stop();
      }
    }
    whole = true;
    return result;
  } finally {
    if (keep || !whole) say(`stores, databases and logs are in ${folder}`);
    else await rm(folder, { recursive: true, force: true });
  }
}

/** [stage, key, contentSha256] of a run that nobody disturbs. */
async function unbrokenRun(folder: string, input: unknown): Promise<string[][]> {
  await loadBackend({});
  const config = resolveInput(input);
  const store = openStore(folder);
  const { key } = await resolveCorpus({ store, cwd: folder }, config.corpus);
  const results = await runPipeline(store, config, key);
  return results.map(({ artifact: { stage, key: made, contentSha256 } }) => [stage, made, contentSha256]);
}
