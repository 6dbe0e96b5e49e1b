// `saeflow gc`: lists what a store holds that nobody will ask for again, and deletes it when told to.
import { Command, InvalidArgumentError } from 'commander';
import { openStore } from '../../data/artifactStore.ts';
import { openStagesOf, type OpenStages } from '../../activities/openStages.ts';
import { amountOf, byKind, deleteGarbage, findGarbage, type GarbageFound } from '../../data/garbage.ts';
import { age, formatAge } from '../../schemas/age.ts';
import { UserError } from '../../schemas/errors.ts';
import { describeAmount, describeUnfinished, garbageInput, garbageKinds } from '../../schemas/garbage.ts';
import { alignTable, formatBytes } from '../../schemas/format.ts';
import { findRunningTemporal } from '../connection.ts';
import { storeUri } from '../state.ts';
import { addExamples, addStoreOption } from './options.ts';

interface Options {
  delete?: boolean;
  dryRun?: boolean;
  olderThan?: number;
  store?: string;
}

/** With a server that says what is being made, age guards only against writers that it does not know of. */
const youngMs = { known: garbageInput.parse({}).olderThan, unknown: age.parse('24h') };
const shownPerKind = 20;

export function gcCommand(): Command {
  const command = new Command('gc')
    .description('list what interrupted runs left in the store, and with --delete remove it; never what a manifest names, nor what a run could go on from')
    .option('--delete', 'delete it')
    .option('--dry-run', 'only list it (this is the default)')
    .option('--older-than <age>', 'leave what is younger, such as 30m, 1h or 7d (default: 1h where a Temporal server says what is being made, else 24h)', toMs);
  addStoreOption(command);
  addExamples(command, 'gc', 'gc --delete', 'gc --older-than 7d --store s3://bucket/saeflow');
  return command.action(async ({ delete: doDelete, dryRun, olderThan, store: option }: Options) => {
    if (doDelete && dryRun) throw new UserError('--delete and --dry-run contradict each other', 'Leave one of them out.');
    const store = openStore(storeUri(option));
    const open = await findOpenStages();
    const olderThanMs = olderThan ?? (open === undefined ? youngMs.unknown : youngMs.known);
    console.log(`store ${store.uri}: what was written within ${formatAge(olderThanMs)} stays; ${openWords(open)}`);
    const found = await findGarbage(store, { olderThanMs, inUse: open?.inUse ?? (() => false) });
    for (const line of describe(found)) console.log(line);
    if (found.garbage.length === 0) return console.log('nothing to delete');
    if (!doDelete) return console.log(`would delete ${describeAmount(amountOf(found.garbage))}: saeflow gc --delete does`);
    const deleted = await deleteGarbage(store, found.garbage);
    console.log(`deleted ${describeAmount(amountOf(deleted))}${deleted.length < found.garbage.length ? `; ${found.garbage.length - deleted.length} were written anew meanwhile and stay` : ''}`);
  });
}

function describe({ garbage, spared, unfinished }: GarbageFound): string[] {
  const lines: string[] = [];
  for (const { kind, items } of byKind(garbage)) {
    lines.push(`${describeAmount(amountOf(items))}, ${garbageKinds[kind]}:`);
    lines.push(...alignTable(items.slice(0, shownPerKind).map(({ path, bytes, modifiedAt }) => [`  ${path}`, formatBytes(bytes), modifiedAt.toISOString().slice(0, 19)]), [1]));
    if (items.length > shownPerKind) lines.push(`  … and ${items.length - shownPerKind} more`);
  }
  for (const { artifact, why } of spared) lines.push(`left alone: ${artifact}: ${why}`);
  if (unfinished.artifacts > 0) lines.push(`kept: ${describeUnfinished(unfinished)}`);
  return lines;
}

/** Asks the server that commands talk to; one that does not answer is as good as none: undefined. */
async function findOpenStages(): Promise<OpenStages | undefined> {
  const temporal = await findRunningTemporal().catch((error: unknown) => {
    if (error instanceof UserError) return undefined;
    throw error;
  });
  if (temporal === undefined) return undefined;
  try {
    return await openStagesOf(temporal.client);
  } finally {
    await temporal.close();
  }
}

function openWords(open: OpenStages | undefined): string {
  if (open === undefined) return 'no Temporal server answers, so what is being made is not known';
  return open.count === 0 ? 'no workflow is making anything' : `${open.count} stages are being made and are left alone`;
}

function toMs(text: string): number {
  const parsed = age.safeParse(text);
  if (!parsed.success) throw new InvalidArgumentError(`${text}: ${parsed.error.issues[0]!.message}.`);
  return parsed.data;
}
