// Makes what is damaged in a store anew, by the workflows that made it: with a worker here, or with those that work for a
// named server, whose GPUs give the same bytes. Ends when every byte is verified, or says what is not.
import { openStore, type ArtifactStore } from '../data/artifactStore.ts';
import { lineageOf } from '../data/lineage.ts';
import { isBeingRepaired, removeDamaged, settleRepair, type Removed, type Settled } from '../data/repair.ts';
import { UserError } from '../schemas/errors.ts';
import { stageResult } from '../schemas/progress.ts';
import type { ArtifactId } from '../schemas/stages.ts';
import { workflowUrl } from './connection.ts';
import { findArtifacts } from './artifacts.ts';
import { describeDamage, findDamage, nameOf, type DamagedArtifact } from './damage.ts';
import { Stopped } from './errors.ts';
import { Trouble, watchToEnd, type FollowOptions } from './follow.ts';
import { Interrupt } from './interrupt.ts';
import { bringUp, type LocalStack } from './localStack.ts';
import { startStage } from './runs.ts';
import { Screen } from './screen.ts';

type Options = Pick<FollowOptions, 'storeUri' | 'port' | 'uiPort' | 'worker' | 'stop'>;

/**
 * Repairs a run, or an artifact and all it was made from.
 *
 * @throws UserError when something can't be made again with the same bytes; Stopped after Ctrl-C.
 */
export async function repair(what: string | undefined, options: Options): Promise<void> {
  const store = openStore(options.storeUri);
  const artifacts = await findArtifacts(options.storeUri, what);
  const screen = new Screen(process.stdout);
  const damaged = await findDamage(store, artifacts, (line) => screen.say(line));
  if (damaged.length === 0) {
    refuseOther(await settleInterrupted(store, artifacts, screen));
    return screen.say('verified: nothing is damaged');
  }
  const interrupt = new Interrupt();
  const trouble = new Trouble();
  let keepServer = false;
  try {
    const stack = await bringUp({ ...options, say: (line) => screen.say(line), onGiveUp: (error) => trouble.raise(error) });
    interrupt.beforeKill(() => stack.kill());
    try {
      await mendAll(store, artifacts, damaged, { stack, screen, interrupt, trouble });
      keepServer = !options.stop;
    } finally {
      await stack.stop({ keepServer });
      if (interrupt.signal.aborted) screen.say('stopped; run the same command again to go on');
    }
  } finally {
    interrupt.release();
  }
}

interface Tools {
  stack: LocalStack;
  screen: Screen;
  interrupt: Interrupt;
  trouble: Trouble;
}

/** Behind a manifest that was lost stands more that may be damaged: what is found then is mended too. */
async function mendAll(store: ArtifactStore, artifacts: readonly ArtifactId[], found: DamagedArtifact[], tools: Tools): Promise<void> {
  const mended = new Set<string>();
  const differing: string[] = [];
  for (let damaged = found; damaged.length > 0; damaged = await findDamage(store, artifacts, (line) => tools.screen.say(line))) {
    const open = damaged.filter(({ artifact }) => !mended.has(nameOf(artifact)));
    if (open.length === 0) break;
    for (const one of open) {
      mended.add(nameOf(one.artifact));
      differing.push(...(await mend(store, one, tools)));
    }
  }
  if (differing.length === 0) differing.push(...(await settleInterrupted(store, artifacts, tools.screen)));
  refuseOther(differing);
  const left = await findDamage(store, artifacts, () => undefined);
  if (left.length > 0) throw new UserError(`damaged again:\n${(await describeDamage(store, left)).join('\n')}`, 'Something else changes files of this store: check its disk.');
  tools.screen.say('verified: every file is what its manifest says');
}

/** A repair may have been killed after its stage had finished: what that made is compared now. */
async function settleInterrupted(store: ArtifactStore, artifacts: readonly ArtifactId[], screen: Screen): Promise<string[]> {
  const differing: string[] = [];
  for (const artifact of (await lineageOf(store, artifacts)).artifacts) if (await isBeingRepaired(store, artifact)) differing.push(...(await settle(store, artifact, screen)));
  return differing;
}

function refuseOther(differing: readonly string[]): void {
  if (differing.length === 0) return;
  throw new UserError(
    `not everything could be made again with the same bytes:\n${differing.join('\n')}`,
    'Other last digits come from another device, processor or number of threads: repair where it was made (saeflow lineage says where), or put the files back from a copy. To give these results up, delete the folders named above and run the same configuration again.',
  );
}

/** Makes one artifact whole; returns what to tell where it is not what it was. */
async function mend(store: ArtifactStore, { artifact, problems }: DamagedArtifact, tools: Tools): Promise<string[]> {
  const { screen } = tools;
  const removed = await removeDamaged(store, artifact, problems);
  screen.say(`making anew ${nameOf(artifact)}: ${whatIsMade(removed)}`);
  await remake(artifact, removed, tools);
  return settle(store, artifact, screen);
}

async function settle(store: ArtifactStore, artifact: ArtifactId, screen: Screen): Promise<string[]> {
  const settled = await settleRepair(store, artifact);
  for (const line of describeSettled(artifact, settled)) screen.say(line);
  if (!settled.putBack) return [];
  return [`${nameOf(artifact)}: ${settled.changed!.join(', ')}`, ...settled.descendants.map((id) => `  ${nameOf(id)} was made from the bytes before`)];
}

async function remake({ key }: ArtifactId, { spec, leftOut }: Removed, { stack: { temporal }, screen, interrupt, trouble }: Tools): Promise<void> {
  // A shard that fails now ends the repair: there is nobody to ask, and skipping it would make something else.
  const input = { run: 'repair', spec, execution: { onShardFailure: 'fail' as const }, ...(leftOut.length === 0 ? {} : { leaveOut: leftOut }) };
  const started = await startStage(temporal.client, input, key);
  screen.say(`Temporal UI  ${workflowUrl(temporal, started.workflowId) ?? temporal.address}`);
  const result = await watchToEnd(temporal.client, started, stageResult, screen, interrupt, trouble);
  if (result === undefined) throw new Stopped();
}

function whatIsMade({ shards }: Removed): string {
  if (shards === 'all') return 'what is missing of it';
  if (shards.length === 0) return 'its manifest';
  return `${shards.length === 1 ? 'shard' : 'shards'} ${shards.join(', ')}`;
}

function describeSettled(artifact: ArtifactId, { changed, descendants, putBack }: Settled): string[] {
  const name = nameOf(artifact);
  const names = descendants.map((id) => `    ${nameOf(id)}`);
  if (changed === undefined) return [`repaired ${name}; its manifest was lost, so that it can't be compared with what it was`, ...(names.length === 0 ? [] : ['  made from it, when it had that manifest:', ...names])];
  if (changed.length === 0) return [`repaired ${name}: the same bytes as before${names.length === 0 ? '' : '; what was made from it stays valid:'}`, ...names];
  if (!putBack) return [`repaired ${name}: other bytes than before (${changed.join(', ')}); nothing in the store was made from them`];
  return [`NOT THE SAME: ${name} came out with other bytes (${changed.join(', ')}); its old manifest stands, and it counts as damaged`];
}
