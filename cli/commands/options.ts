// Options that several commands share, with the checks that belong to them.
import { InvalidArgumentError, type Command } from 'commander';
import type { FollowOptions } from '../follow.ts';
import type { ConfigOptions } from '../input.ts';
import { storeUri } from '../state.ts';

/** Options of commands that carry a run out here. */
export interface RunOptions extends ConfigOptions {
  store?: string;
  port?: number;
  uiPort?: number;
  dashboardPort?: number;
  stop?: boolean;
  diskCheck: boolean;
}

/** Adds --config, --set, --corpus and --name. */
export function addConfigOptions(command: Command): Command {
  return command
    .option('--config <file.json>', 'a JSON file with any part of a configuration; may name a "preset"')
    .option('--set <path=value>', 'set one field, such as saes.0.l1Coefficient=0.002; repeat for more', (text: string, before: string[] = []) => [...before, text])
    .option('--corpus <file or glob...>', 'read this text: .txt, .jsonl or .parquet, also .gz and .zst')
    .option('--name <name>', 'what to call the run');
}

/** Adds where results go, ports, and what goes on running afterwards. */
export function addRunOptions(command: Command): Command {
  return addStoreOption(addPortOptions(command))
    .option('--dashboard-port <port>', 'port of the dashboard kept open at the end (default: a free one)', toPort)
    .option('--stop', 'leave nothing running at the end (default where CI is set)')
    .option('--no-disk-check', 'start although the disk looks too small');
}

/** Adds --store. */
export function addStoreOption(command: Command): Command {
  return command.option('--store <folder or s3://…>', 'where results are (default: $SAEFLOW_STORE, else .saeflow/store)');
}

/** Adds --port and --ui-port of a Temporal server of our own. */
export function addPortOptions(command: Command): Command {
  return command
    .option('--port <port>', 'port of a Temporal server started here (default: 7233, or a free one)', toPort)
    .option('--ui-port <port>', 'port of its UI (default: 8233, or a free one)', toPort);
}

/** How a run is followed, from a command's options. */
export function followOptions({ store, port, uiPort, dashboardPort, stop, diskCheck }: RunOptions, worker: boolean): FollowOptions {
  return {
    storeUri: storeUri(store),
    worker,
    diskCheck,
    stop: stop ?? Boolean(process.env['CI']),
    ...(port === undefined ? {} : { port }),
    ...(uiPort === undefined ? {} : { uiPort }),
    ...(dashboardPort === undefined ? {} : { dashboardPort }),
  };
}

/** Adds examples below a command's help. */
export function addExamples(command: Command, ...examples: string[]): Command {
  return command.addHelpText('after', `\nExamples:\n${examples.map((example) => `  $ saeflow ${example}`).join('\n')}`);
}

/** A port number. Throws commander's error for anything else. */
export function toPort(text: string): number {
  return toWhole(text, 1, 65_535);
}

/** Shard numbers `1,2,5`. Throws commander's error for anything else. */
export function toShards(text: string): number[] {
  return text.split(',').map((part) => toWhole(part.trim(), 0, Number.MAX_SAFE_INTEGER));
}

/** Adds --priority. */
export function addPriorityOption(command: Command): Command {
  return command.option('--priority <n>', 'place in the queues: 1 is served first, 5 last (default: 3); a run that is going on is moved by saeflow priority', toPriority);
}

/** A priority, 1 to 5. Throws commander's error for anything else. */
export function toPriority(text: string): number {
  return toWhole(text, 1, 5);
}

/** A number of at least one. Throws commander's error for anything else. */
export function toCount(text: string): number {
  return toWhole(text, 1, Number.MAX_SAFE_INTEGER);
}

function toWhole(text: string, low: number, high: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= low && value <= high) return value;
  throw new InvalidArgumentError(`Give a whole number from ${low}${high === Number.MAX_SAFE_INTEGER ? ' up' : ` to ${high}`}.`);
}
