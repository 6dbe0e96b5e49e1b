// `saeflow gc`: lists what a store holds that nobody will ask for again, and deletes it when told to.
import { Command, InvalidArgumentError } from 'commander';
import { openStore } from '../../data/artifactStore.ts';
import { deleteGarbage, findGarbage, garbageKinds, type Garbage, type GarbageFound, type GarbageKind } from '../../data/garbage.ts';
import { UserError } from '../../schemas/errors.ts';
import { alignTable, formatBytes } from '../format.ts';
import { findOpenStages, type OpenStages } from '../openStages.ts';
import { storeUri } from '../state.ts';
import { addExamples, addStoreOption } from './options.ts';

interface Options {
  delete?: boolean;
  dryRun?: boolean;
  olderThan?: number;
  store?: string;
}

const hourMs = 3_600_000;
/** With a server that says what is being made, age guards only against writers that it does not know of. */
const youngMs = { known: hourMs, unknown: 24 * hourMs };
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
    const olderThanMs = olderThan ?? (open.known ? youngMs.known : youngMs.unknown);
    console.log(`store ${store.uri}: what was written within ${formatAge(olderThanMs)} stays; ${openWords(open)}`);
    const found = await findGarbage(store, { olderThanMs, inUse: open.inUse });
    for (const line of describe(found)) console.log(line);
    if (found.garbage.length === 0) return console.log('nothing to delete');
    if (!doDelete) return console.log(`would delete ${amount(found.garbage)}: saeflow gc --delete does`);
    const deleted = await deleteGarbage(store, found.garbage);
    console.log(`deleted ${amount(deleted)}${deleted.length < found.garbage.length ? `; ${found.garbage.length - deleted.length} were written anew meanwhile and stay` : ''}`);
  });
}

function describe({ garbage, spared, unfinished }: GarbageFound): string[] {
  const lines: string[] = [];
  for (const kind of Object.keys(garbageKinds) as GarbageKind[]) {
    const items = garbage.filter((item) => item.kind === kind);
    if (items.length === 0) continue;
    lines.push(`${amount(items)}, ${garbageKinds[kind]}:`);
    lines.push(...alignTable(items.slice(0, shownPerKind).map(({ path, bytes, modifiedAt }) => [`  ${path}`, formatBytes(bytes), modifiedAt.toISOString().slice(0, 19)]), [1]));
    if (items.length > shownPerKind) lines.push(`  … and ${items.length - shownPerKind} more`);
  }
  for (const { artifact, why } of spared) lines.push(`left alone: ${artifact}: ${why}`);
  if (unfinished.artifacts > 0) lines.push(`kept: ${unfinished.artifacts} unfinished artifacts, ${formatBytes(unfinished.bytes)}: the same run again goes on with them`);
  return lines;
}

function openWords({ known, count }: OpenStages): string {
  if (!known) return 'no Temporal server answers, so what is being made is not known';
  return count === 0 ? 'no workflow is making anything' : `${count} stages are being made and are left alone`;
}

function amount(items: readonly Garbage[]): string {
  return `${items.length} file${items.length === 1 ? '' : 's'}, ${formatBytes(items.reduce((sum, { bytes }) => sum + bytes, 0))}`;
}

const units = { s: 1_000, m: 60_000, h: hourMs, d: 24 * hourMs };

function toMs(text: string): number {
  const [, digits, unit] = /^(\d+)([smhd])$/.exec(text) ?? [];
  if (digits === undefined) throw new InvalidArgumentError('Give a number with a unit: 30m, 1h or 7d.');
  return Number(digits) * units[unit as keyof typeof units];
}

function formatAge(ms: number): string {
  const [unit, length] = Object.entries(units).reverse().find(([, candidate]) => ms >= candidate && ms % candidate === 0) ?? ['s', 1_000];
  return `${ms / length} ${unit}`;
}
