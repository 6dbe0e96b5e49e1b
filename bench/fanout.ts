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
import { median } from './rounds.ts';

const usualShards = 16_000;
/** Some 9,000 events: a fifth of what ends a history. */
const flatShards = 2_000;
const aloneShards = 100;
const aloneRounds = 3;
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
  /** From the workflow's start to its result; of the flat one the mean of before and after ours. */
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
  const { ours, flat } = await withSides(temporal.path, folder, (ours, flat) => measure(ours, flat, shards, log));
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

/** In turn, so that whatever else the machine does meets both sides alike. */
async function measure(ours: Side, flat: Side, shards: number, log: (line: string) => void): Promise<{ ours: Measured; flat: Measured }> {
  // the first task of a workflow type compiles its code, and a server's first tasks warm its caches
  for (const side of [ours, flat]) await carryOut(side, 'warm-up', 2, 2);
  const alone = { ours: [] as number[], flat: [] as number[] };
  for (let round = 0; round < aloneRounds; round++) {
    alone.flat.push((await carryOut(flat, `alone-${round}`, aloneShards, 1)) / aloneShards);
    alone.ours.push((await carryOut(ours, `alone-${round}`, aloneShards, 1)) / aloneShards);
  }
  const few = Math.min(shards, flatShards);
  const before = await carryOut(flat, 'before', few, concurrency);
  const ms = await carryOut(ours, 'fanout', shards, concurrency);
  const after = await carryOut(flat, 'after', few, concurrency);
  const measured = {
    ours: { shards, ms, aloneMs: median(alone.ours), runs: await historiesOf(ours, 'fanout'), ...peaks(ours) },
    flat: { shards: few, ms: (before + after) / 2, aloneMs: median(alone.flat), runs: await historiesOf(flat, 'after'), ...peaks(flat) },
  };
  log(describe('ours', measured.ours));
  log(describe('flat', measured.flat));
  return measured;
}

/** Milliseconds from a workflow's start to its result. */
async function carryOut({ client, flat }: Side, workflowId: string, shards: number, lanes: number): Promise<number> {
  const started = performance.now();
  await (flat ? executeFlat(client, workflowId, shards, lanes) : executeStage(client, workflowId, shards, lanes));
  return performance.now() - started;
}

function peaks({ worker, server }: Side): Pick<Measured, 'workerPeakBytes' | 'serverPeakBytes'> {
  return { workerPeakBytes: residentBytes(worker.pid).peakRssBytes, serverPeakBytes: residentBytes(server.pid).peakRssBytes };
}

async function historiesOf({ client }: Side, workflowId: string): Promise<WorkflowRun[]> {
  const runs = [];
  for await (const one of runsOf(client, workflowId)) runs.push(one);
  return runs;
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

/** A server and a worker process of its own, so that their peak memory is this side's. */
interface Side {
  flat: boolean;
  client: Client;
  server: TemporalServer;
  worker: ChildProcess;
  close(): Promise<void>;
}

async function withSides<Result>(executable: string, folder: string, use: (ours: Side, flat: Side) => Promise<Result>): Promise<Result> {
  const open: Side[] = [];
  try {
    for (const flat of [false, true]) open.push(await openSide(executable, join(folder, flat ? 'flat' : 'ours'), flat));
    const [ours, flat] = open as [Side, Side];
    const ended = open.map(({ worker }) => once(worker, 'exit').then(([code]) => Promise.reject(new Error(`a worker ended with exit code ${String(code)}`))));
    return await Promise.race([use(ours, flat), ...ended]);
  } finally {
    for (const side of open) await side.close();
  }
}

async function openSide(executable: string, stateDir: string, flat: boolean): Promise<Side> {
  const server = await startTemporalServer({ executable, stateDir });
  const entry = fileURLToPath(new URL('./fanoutWorker.ts', import.meta.url));
  const worker = fork(entry, [JSON.stringify({ address: server.address, flat, slots: concurrency })], { execArgv: ['--import', tsxLoader], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const connection = await Connection.connect({ address: server.address });
  const close = async () => {
    await connection.close();
    worker.kill('SIGKILL');
    await server.stop();
  };
  const polling = once(worker, 'message').then(() => true);
  if (await Promise.race([polling, once(worker, 'exit').then(() => false)])) return { flat, client: new Client({ connection }), server, worker, close };
  await close();
  throw new Error('a worker of the bench did not start; its reason is above');
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
