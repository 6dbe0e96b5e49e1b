// The fan-out at its full width: 16,000 shards through the stage's own workflows on a real server, with activities that
// do nothing, so that all that is measured is what Temporal and our use of it add to a shard. The peer is what one would
// write first: one flat workflow, at a number of shards that its one history survives.
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import { specKey } from '../data/artifact.ts';
import { activationsConfig, executionConfig } from '../schemas/config.ts';
import { UserError } from '../schemas/errors.ts';
import { taskQueues, type StageInput } from '../schemas/progress.ts';
import type { StageSpec } from '../schemas/stages.ts';
import { resolveTemporal } from '../setup/temporal.ts';
import { startTemporalServer, type TemporalServer } from '../workers/temporalServer.ts';
import { withFolder, type Bench, type BenchOutcome, type BenchSettings } from './bench.ts';
import { runsOf, type WorkflowRun } from './histories.ts';
import { residentBytes } from './machine.ts';
import { compare, megabytes } from './result.ts';

const usualShards = 16_000;
/** Some 9,000 events: a fifth of what ends a history. */
const flatShards = 2_000;
const aloneShards = 200;
/** Shards in flight: 64 GPUs. */
const concurrency = 64;
const eventLimit = 10_000;
const payloadLimitBytes = 64 * 2 ** 10;
const temporalEventLimit = 51_200;
const tsxLoader = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;

export const fanout: Bench = {
  summary: '16,000 shards (--shards) that do nothing, through the real workflows and server: time, events, payloads, memory; against one flat workflow',
  rounds: 1,
  run: (settings) => withFolder((folder) => run(folder, settings)),
};

interface Measured {
  shards: number;
  /** From the workflow's start to its result. */
  ms: number;
  /** A shard when only one is in flight. */
  aloneMs: number;
  runs: WorkflowRun[];
  workerPeakBytes: number;
  serverPeakBytes: number;
}

/** @throws Error when a history has more than 10,000 events, or a payload more than 64 KiB. */
async function run(folder: string, { shards = usualShards, log }: BenchSettings): Promise<BenchOutcome> {
  const temporal = await resolveTemporal({ ...process.env, TEMPORAL_ADDRESS: undefined, TEMPORAL_PROFILE: undefined }, log);
  if (temporal.kind !== 'executable') throw new UserError('there is no Temporal executable here', 'Unset TEMPORAL_CONFIG_FILE: the bench runs a server of its own.');
  const measure = (flat: boolean, count: number) => withServer(temporal.path, join(folder, flat ? 'flat' : 'ours'), flat, (client, server, worker) => measureSide(client, server, worker, flat, count));
  const ours = await measure(false, shards);
  log(describe('ours', ours));
  const flat = await measure(true, Math.min(shards, flatShards));
  log(describe('flat', flat));
  const events = largest(ours, 'events');
  const payloadBytes = largest(ours, 'largestPayloadBytes');
  if (events > eventLimit) throw new Error(`a history has ${events} events, more than ${eventLimit}`);
  if (payloadBytes > payloadLimitBytes) throw new Error(`a payload has ${payloadBytes} bytes, more than ${payloadLimitBytes}`);

  const peer = `one flat workflow, ${flat.shards.toLocaleString('en')} shards; Temporal CLI ${temporal.version}`;
  const perFlatShard = total(flat, 'events') / flat.shards;
  return {
    cases: [
      compare(`a shard's share of the time, ${concurrency} at once`, 'ms', ours.ms / shards, flat.ms / flat.shards, peer, { note: `${shards.toLocaleString('en')} shards in ${(ours.ms / 1_000).toFixed(1)} s: ${(shards / (ours.ms / 1_000)).toFixed(0)} shards/s` }),
      compare('a shard when it is alone in flight', 'ms', ours.aloneMs, flat.aloneMs, peer),
      compare('history of a shard', 'bytes', total(ours, 'bytes') / shards, total(flat, 'bytes') / flat.shards, peer),
      compare('worker: peak resident memory', 'MB', megabytes(ours.workerPeakBytes), megabytes(flat.workerPeakBytes), peer),
      compare('Temporal server: peak resident memory', 'MB', megabytes(ours.serverPeakBytes), megabytes(flat.serverPeakBytes), peer),
      compare('the longest history', 'events', events, eventLimit, 'the limit', { goal: 1 }),
      compare('the largest payload', 'bytes', payloadBytes, payloadLimitBytes, 'the limit', { goal: 1 }),
    ],
    notes: [
      `${ours.runs.length} histories, ${total(ours, 'events').toLocaleString('en')} events, ${megabytes(total(ours, 'bytes')).toFixed(1)} MB; the stage's own: ${ours.runs[0]!.events} events`,
      `the flat workflow has ${perFlatShard.toFixed(1)} events a shard: Temporal would end its history at ${temporalEventLimit.toLocaleString('en')} events, near shard ${Math.floor(temporalEventLimit / perFlatShard).toLocaleString('en')}, with everything in it lost`,
    ],
    backend: `Temporal CLI ${temporal.version}`,
  };
}

async function measureSide(client: Client, server: TemporalServer, worker: ChildProcess, flat: boolean, shards: number): Promise<Measured> {
  const carryOut = async (count: number, lanes: number) => {
    const workflowId = `fanout-${lanes}`;
    const started = performance.now();
    await (flat ? executeFlat(client, workflowId, count, lanes) : executeStage(client, workflowId, count, lanes));
    return { workflowId, ms: performance.now() - started };
  };
  // the first task of a workflow type compiles its code, and a server's first tasks warm its caches
  await carryOut(2, 2);
  const alone = await carryOut(aloneShards, 1);
  const { workflowId, ms } = await carryOut(shards, concurrency);
  const workerPeakBytes = residentBytes(worker.pid).peakRssBytes;
  const serverPeakBytes = residentBytes(server.pid).peakRssBytes;
  const runs = [];
  for await (const one of runsOf(client, workflowId)) runs.push(one);
  return { shards, ms, aloneMs: alone.ms / aloneShards, runs, workerPeakBytes, serverPeakBytes };
}

function specOf(shards: number): StageSpec {
  const activations = activationsConfig.parse({ prompts: 1_250 * shards, promptsPerShard: 1_250 });
  return { stage: 'sampleActivations', config: { seed: 1, hook: 'blocks.0.mlp.hook_post', activations }, inputs: { tokenize: 'a'.repeat(64), trainTransformer: 'b'.repeat(64) } };
}

function executeStage(client: Client, workflowId: string, shards: number, lanes: number): Promise<unknown> {
  const input: StageInput = { run: 'fanout', label: '', spec: specOf(shards), execution: executionConfig.parse({ concurrency: lanes }), progressSignals: 50 };
  return client.workflow.execute('sampleActivations', { workflowId, taskQueue: taskQueues.workflows, args: [input] });
}

function executeFlat(client: Client, workflowId: string, shards: number, lanes: number): Promise<unknown> {
  const artifact = { stage: 'sampleActivations', key: specKey(specOf(shards)) };
  return client.workflow.execute('flat', { workflowId, taskQueue: taskQueues.workflows, args: [artifact, shards, lanes] });
}

/** A server and a worker process, each new, so that their peak memory is this side's. */
async function withServer<Result>(executable: string, stateDir: string, flat: boolean, use: (client: Client, server: TemporalServer, worker: ChildProcess) => Promise<Result>): Promise<Result> {
  const server = await startTemporalServer({ executable, stateDir });
  const entry = fileURLToPath(new URL('./fanoutWorker.ts', import.meta.url));
  const worker = fork(entry, [JSON.stringify({ address: server.address, flat, slots: concurrency })], { execArgv: ['--import', tsxLoader], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const ended = new Promise<never>((_, reject) => worker.once('exit', (code) => reject(new Error(`the worker ended with exit code ${code}`))));
  ended.catch(() => undefined);
  const connection = await Connection.connect({ address: server.address });
  try {
    await Promise.race([once(worker, 'message'), ended]);
    return await Promise.race([use(new Client({ connection }), server, worker), ended]);
  } finally {
    await connection.close();
    worker.kill('SIGKILL');
    await server.stop();
  }
}

function largest({ runs }: Measured, field: 'events' | 'largestPayloadBytes'): number {
  return Math.max(...runs.map((one) => one[field]));
}

function total({ runs }: Measured, field: 'events' | 'bytes'): number {
  return runs.reduce((sum, one) => sum + one[field], 0);
}

function describe(side: string, measured: Measured): string {
  const { shards, ms, aloneMs, runs } = measured;
  return `${side}: ${shards} shards in ${(ms / 1_000).toFixed(1)} s, ${(shards / (ms / 1_000)).toFixed(0)} shards/s, ${aloneMs.toFixed(1)} ms for one alone; ${runs.length} histories, at most ${largest(measured, 'events')} events`;
}
