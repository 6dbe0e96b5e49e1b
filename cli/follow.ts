// What `demo` and `run` share: bring up what is needed, start or attach to the run, show it to its end, and leave the
// machine as was asked.
import { statSync } from 'node:fs';
import type { Client } from '@temporalio/client';
import type { z } from 'zod';
import { buildDemoCorpus } from '../data/demoCorpus.ts';
import { DEMO_CORPUS_PATTERN } from '../data/corpusFiles.ts';
import { openStore } from '../data/artifactStore.ts';
import type { PipelineConfig } from '../schemas/config.ts';
import { UserError } from '../schemas/errors.ts';
import { pipelineResult, type PipelineResult } from '../schemas/progress.ts';
import { freeBytes } from '../setup/cache.ts';
import { workflowUrl } from './connection.ts';
import { lookAtCorpus, requireCorpus, withTokenizer } from './corpus.ts';
import { Stopped } from './errors.ts';
import { describePeak, estimateDisk } from './diskEstimate.ts';
import { formatBytes, formatDuration } from '../schemas/format.ts';
import { Interrupt } from './interrupt.ts';
import { showRun } from './liveView.ts';
import { bringUp, type LocalStack } from './localStack.ts';
import { findReport, storeFolder } from './reports.ts';
import { resultOf, startRun } from './runs.ts';
import { Screen } from './screen.ts';
import { keepServing, sitePath } from './site.ts';
import { summarize } from './summary.ts';

export interface FollowOptions {
  storeUri: string;
  port?: number;
  uiPort?: number;
  dashboardPort?: number;
  /** False where workers run elsewhere. */
  worker: boolean;
  /** False: start although the disk looks too small. */
  diskCheck: boolean;
  /** True: nothing goes on running after the command. */
  stop: boolean;
}

/**
 * Carries a run to its end and prints its summary.
 *
 * @throws Stopped after Ctrl-C, when checkpoints are saved; WorkflowFailedError when the run failed; UserError.
 */
export async function followRun(config: PipelineConfig, options: FollowOptions): Promise<void> {
  const screen = new Screen(process.stdout);
  const say = (line: string) => screen.say(line);
  const interrupt = new Interrupt();
  try {
    await requireInputs(config, options, say);
    interrupt.signal.throwIfAborted();
    const trouble = new Trouble();
    const stack = await bringUp({ ...options, say, onGiveUp: (error) => trouble.raise(error) });
    interrupt.beforeKill(() => stack.kill());
    await carryOut(config, options, stack, screen, interrupt, trouble);
  } catch (error) {
    if (interrupt.signal.aborted && !(error instanceof Stopped)) throw new Stopped();
    throw error;
  } finally {
    interrupt.release();
  }
}

async function carryOut(config: PipelineConfig, options: FollowOptions, stack: LocalStack, screen: Screen, interrupt: Interrupt, trouble: Trouble): Promise<void> {
  const { temporal } = stack;
  const startedMs = Date.now();
  let keepServer = !options.stop;
  try {
    const { workflowId, runId, attached } = await startRun(temporal.client, config);
    screen.say(`${attached ? 'going on with' : 'started'} ${workflowId}`);
    screen.say(`Temporal UI  ${workflowUrl(temporal, workflowId) ?? `(address ${temporal.address}, namespace ${temporal.namespace})`}`);
    const result = await watchToEnd(temporal.client, { workflowId, runId }, pipelineResult, screen, interrupt, trouble);
    keepServer = keepServer && result !== undefined;
    if (result === undefined) throw new Stopped();
    await finish(result, options, screen, formatDuration((Date.now() - startedMs) / 1_000), workflowUrl(temporal, workflowId));
  } finally {
    await stack.stop({ keepServer });
    if (interrupt.signal.aborted) screen.say('stopped; run the same command again to go on');
  }
}

/**
 * Shows a workflow until it has ended and gives its result; undefined after Ctrl-C.
 *
 * @throws WorkflowFailedError when it failed; what `trouble` was told.
 */
export async function watchToEnd<Result>(client: Client, workflow: { workflowId: string; runId: string }, schema: z.ZodType<Result>, screen: Screen, interrupt: Interrupt, trouble: Trouble): Promise<Result | undefined> {
  const watching = new AbortController();
  const shown = showRun(client, workflow.workflowId, screen, watching.signal);
  const ended = resultOf(client, workflow, schema, watching.signal);
  try {
    const result = await Promise.race([ended, interrupt.raised.then(() => undefined), trouble.raised]);
    if (result === undefined) screen.say('stopping: checkpoints are being saved (Ctrl-C again ends at once)');
    return result;
  } finally {
    watching.abort();
    // Nothing may be asked any more when the connection is closed.
    await Promise.allSettled([shown, ended]);
  }
}

async function finish({ run, configHash, reportUri }: PipelineResult, options: FollowOptions, screen: Screen, took: string, runUrl: string | undefined): Promise<void> {
  const { storeUri, stop, dashboardPort } = options;
  // Workers elsewhere may write to a store that this machine does not see.
  if (!reportUri.startsWith(openStore(storeUri).uri)) return screen.say(`finished in ${took}; the report is ${reportUri} (name its store with --store to see it here)`);
  const { report } = await findReport(storeUri, `${run}/${configHash}`);
  const site = sitePath(report);
  const place = `${storeUri}/${site}`;
  screen.say('');
  for (const line of summarize(report)) screen.say(line);
  screen.say('');
  screen.say(`finished in ${took}`);
  const open = 'open it with: npx saeflow open';
  if (stop) {
    screen.say(`dashboard    ${place}  (${open})`);
    return;
  }
  const url = await keepServing(storeUri, site, dashboardPort).catch((error: unknown) => `${place}  (${error instanceof Error ? error.message : String(error)}; ${open})`);
  if (runUrl !== undefined) screen.say(`Temporal UI  ${runUrl}`);
  screen.say(`dashboard    ${url}`);
  screen.say('Both go on running; end them with: npx saeflow stop');
}

/** Refuses at once what would fail later: a corpus that isn't there, a disk that is too small. */
async function requireInputs(config: PipelineConfig, { storeUri, worker, diskCheck }: FollowOptions, say: (line: string) => void): Promise<void> {
  const store = openStore(storeUri);
  const folder = storeFolder(store);
  if (folder !== undefined && statSync(folder, { throwIfNoEntry: false })?.isDirectory() === false) throw new UserError(`the store ${folder} is a file`, 'Name a folder with --store or SAEFLOW_STORE.');
  if (!worker) return;
  const cwd = process.cwd();
  await requireCorpus(config.corpus.paths, cwd);
  const sized = await withTokenizer(config, cwd);
  if (config.corpus.paths.includes(DEMO_CORPUS_PATTERN)) await buildDemoCorpus({ onProgress: (message) => say(`demo corpus: ${message}`) });
  if (folder === undefined || !diskCheck) return;
  const { size } = await lookAtCorpus(sized, cwd);
  const disk = estimateDisk(sized, size);
  const needed = disk.peakBytes;
  const free = await freeBytes(folder);
  if (needed <= free) return;
  // A run that goes on has much of it already.
  const stored = (await store.list('')).reduce((sum, { bytes }) => sum + bytes, 0);
  if (needed <= free + stored) return;
  const { retention } = sized.activations;
  const consumedBytes = disk.otherBytes + disk.consume.bytes;
  const consume = retention === 'keep' && consumedBytes < needed ? `, set activations.retention=consume (then ${formatBytes(consumedBytes)}: shards are deleted when they have been read)` : '';
  throw new UserError(
    `this run needs about ${formatBytes(needed)} of disk at once, and ${formatBytes(free)} are free in ${folder}${stored === 0 ? '' : ` beside ${formatBytes(stored)} stored`}: ${describePeak(disk, retention)}`,
    `Free some space${consume}, or choose another store with --store; saeflow plan says which stage needs what. With --no-disk-check it starts all the same.`,
  );
}

/** A failure that is noticed beside the run: the first one counts. */
export class Trouble {
  readonly raised: Promise<never>;
  raise: (error: Error) => void = () => undefined;

  constructor() {
    this.raised = new Promise((_, reject) => (this.raise = reject));
    this.raised.catch(() => undefined); // Nobody may be waiting yet.
  }
}
