// One run of the pipeline that is struck as planned, and what came of it.
import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { verifyArtifact } from '../data/artifact.ts';
import { findGarbage } from '../data/garbage.ts';
import { pipelineResult, taskQueues, type PipelineResult } from '../schemas/progress.ts';
import { report } from '../schemas/report.ts';
import { stageNames, type StageName } from '../schemas/stages.ts';
import type { Cluster } from './cluster.ts';
import { readLedger, type Ledger } from './ledger.ts';
import type { Strike, StoreKind, Victim } from './plan.ts';
import { retrying, Watch, type Position } from './watch.ts';

export interface Kill {
  victim: Victim;
  stage: StageName;
  share: number;
  /** Until the store held something new and server and workers answered; undefined where the next strike did not wait. */
  recoverySeconds: number | undefined;
}

export interface BrokenRun {
  store: StoreKind;
  seconds: number;
  kills: Kill[];
  /** Strikes that found nothing to hit any more. */
  missed: number;
  /** [stage, key, contentSha256] in order. */
  made: string[][];
  /** What `saeflow verify` would say of the last artifact and all before it, and of the run's report. */
  damaged: string[];
  ledger: Ledger;
  /** Files that kills left, and how many of them `saeflow gc --delete` left in turn. */
  strays: { before: number; after: number };
}

const saeflow = fileURLToPath(new URL('../bin/saeflow.mjs', import.meta.url));
const fullDiskMs = 8_000;
const killGraceMs = 15_000;

/** Starts the pipeline on `input`, strikes it, waits for its end and looks at everything it left. */
export async function breakRun(cluster: Cluster, store: StoreKind, input: unknown, strikes: readonly Strike[], say: (line: string) => void): Promise<BrokenRun> {
  const workflowId = 'chaos';
  const started = performance.now();
  const client = await cluster.client();
  await client.workflow.start('pipeline', { taskQueue: taskQueues.workflows, workflowId, args: [input] });
  const watch = new Watch(cluster, workflowId);
  const kills: Kill[] = [];
  let struckMs = 0;
  for (const [index, strike] of strikes.entries()) {
    const kill = await carryOut(cluster, watch, strike, struckMs, index === strikes.length - 1);
    // After a strike that overlaps, the next one does not wait for a sign of life.
    struckMs = strike.overlaps ? 0 : Date.now();
    if (kill === undefined) continue;
    kills.push(kill);
    say(`  ${kill.victim} in ${kill.stage} at ${Math.round(100 * kill.share)} %${kill.recoverySeconds === undefined ? ', not waited for' : `, recovered in ${kill.recoverySeconds.toFixed(1)} s`}`);
  }
  while (!(await retrying(() => watch.ended()))) await sleep(200);
  const seconds = (performance.now() - started) / 1_000;
  const handle = (await cluster.client()).workflow.getHandle(workflowId);
  const result = pipelineResult.parse(await handle.result());
  const ledger = await retrying(async () => readLedger(await cluster.client(), workflowId, cluster.journalFile));
  return {
    store,
    seconds,
    kills,
    missed: strikes.length - kills.length,
    made: result.stages.map(({ artifact: { stage, key, contentSha256 } }) => [stage, key, contentSha256]),
    damaged: await damageIn(cluster, result),
    ledger,
    strays: await sweep(cluster),
  };
}

/** Undefined when the run was over before. `lastMs`: jobs must have reported progress since then. */
async function carryOut(cluster: Cluster, watch: Watch, strike: Strike, lastMs: number, last: boolean): Promise<Kill | undefined> {
  const position = await reach(watch, strike, lastMs);
  if (position === undefined) return undefined;
  await sleep(strike.delayMs);
  const { stage, share } = position;
  const struckMs = performance.now();
  const worked = cluster.computePid(stage);
  if (strike.victim === 'disk') {
    if (cluster.disk === undefined) return undefined;
    await cluster.disk.fill();
    for (const endMs = struckMs + fullDiskMs; performance.now() < endMs && !(await retrying(() => watch.sawFullDisk(position.artifact))); ) await sleep(100);
    await cluster.disk.free();
  } else if (!(await killSoon(cluster, strike.victim, stage))) return undefined;
  if (strike.overlaps && !last) return { victim: strike.victim, stage, share, recoverySeconds: undefined };
  // What an orphaned compute process still saves on its way out is no recovery.
  if (strike.victim === 'compute' || strike.victim === 'gpuWorker') await untilReplaced(cluster, watch, stage, worked);
  const before = (await retrying(() => watch.position()))?.finished ?? 0;
  await watch.untilRecovered(before);
  return { victim: strike.victim, stage, share, recoverySeconds: (performance.now() - struckMs) / 1_000 };
}

/** Waits until the strike's stage is as far as it says and at work; a run that is past it is struck where it is. */
async function reach(watch: Watch, { stage, share }: Strike, sinceMs: number): Promise<Position | undefined> {
  for (; ; await sleep(50)) {
    const position = await retrying(() => watch.position());
    const due = position !== undefined && (stageNames.indexOf(position.stage) > stageNames.indexOf(stage) || (position.stage === stage && position.share >= share));
    if (due && (stage === 'tokenize' || (await watch.untilAtWork(position.artifact, sinceMs)))) return position;
    if (await retrying(() => watch.ended())) return undefined;
  }
}

/** A compute process may be on its way up when its turn comes. */
async function killSoon(cluster: Cluster, victim: Exclude<Victim, 'disk'>, stage: StageName): Promise<boolean> {
  for (const endMs = performance.now() + killGraceMs; performance.now() < endMs; await sleep(50)) {
    if (await cluster.kill(victim, stage)) return true;
  }
  return false;
}

/** Everything that does not have the bytes it was written with, and a report that does not say that all was made here. */
async function damageIn({ store }: Cluster, { stages, reportUri }: PipelineResult): Promise<string[]> {
  const problems = await verifyArtifact(store, stages.at(-1)!.artifact, { ancestors: true });
  const path = reportUri.slice(store.uri.length + 1);
  const { stages: reported } = report.parse(JSON.parse(Buffer.from(await store.get(path)).toString()));
  return [...problems.map((problem) => problem.path), ...reported.filter(({ cached }) => cached).map(({ name }) => `${path}: ${name} is said to have been found`)];
}

/** Waits for another compute process than `worked`, unless the stage is over before it is needed. */
async function untilReplaced(cluster: Cluster, watch: Watch, stage: StageName, worked: number | undefined): Promise<void> {
  for (let pid = cluster.computePid(stage); pid === undefined || pid === worked; pid = cluster.computePid(stage)) {
    if ((await retrying(() => watch.position()))?.stage !== stage || (await retrying(() => watch.ended()))) return;
    await sleep(50);
  }
}

/** Runs the command that a person would, and counts what it was to remove before and after. */
async function sweep(cluster: Cluster): Promise<BrokenRun['strays']> {
  const strays = async () => (await findGarbage(cluster.store, { olderThanMs: 0, inUse: () => false })).garbage.length;
  const before = await strays();
  const env = { ...process.env, TEMPORAL_ADDRESS: cluster.address, TEMPORAL_NAMESPACE: 'default', TEMPORAL_PROFILE: undefined };
  await promisify(execFile)(process.execPath, [saeflow, 'gc', '--delete', '--older-than', '0s', '--store', cluster.storeUri], { cwd: cluster.folder, env });
  return { before, after: await strays() };
}
