// From the options of a command to a checked configuration: preset, then file, then --set, --corpus and --name.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { resolveInput } from '../presets/resolve.ts';
import { presets } from '../presets/presets.ts';
import type { PipelineConfig } from '../schemas/config.ts';
import { UserError } from '../schemas/errors.ts';
import { absolutePatterns } from './corpus.ts';
import { applySettings, parseSetting } from './settings.ts';

/** Options by which a configuration is given; `run`, `plan` and `demo` share them. */
export interface ConfigOptions {
  preset?: string;
  /** A JSON file with any part of a configuration, and optionally `preset`. */
  config?: string;
  set?: string[];
  corpus?: string[];
  name?: string;
  /** Place in the queues, 1 (first) to 5 (last). */
  priority?: number;
}

/**
 * The configuration that the options stand for.
 *
 * @param attended true where a person waits for the command: a shard that can't be made then ends the run with its
 * message at once, unless the options say otherwise, instead of waiting for a decision.
 * @throws UserError naming every wrong field, the option or the file.
 * @example
 * resolveConfig({ preset: 'tiny', set: ['seed=2'] }).seed; // 2
 */
export function resolveConfig({ preset, config: file, set = [], corpus, name, priority }: ConfigOptions, { attended = false, cwd = process.cwd() } = {}): PipelineConfig {
  const written = file === undefined ? {} : readConfigFile(file);
  const chosen = preset ?? written['preset'];
  if (preset !== undefined && !Object.hasOwn(presets, preset)) throw new UserError(`no preset is called "${preset}"`, `Use one of: ${Object.keys(presets).join(', ')}; or give a file with --config.`);
  const withPreset = (rest: object) => (chosen === undefined ? rest : { ...rest, preset: chosen });
  const settings = attended && !decidesOnFailure(written) ? [{ path: ['execution', 'onShardFailure'], value: 'fail' as unknown }] : [];
  settings.push(...set.map(parseSetting));
  if (corpus !== undefined) settings.push({ path: ['corpus', 'paths'], value: absolutePatterns(corpus, cwd) });
  if (name !== undefined) settings.push({ path: ['name'], value: name });
  if (priority !== undefined) settings.push({ path: ['execution', 'priority'], value: priority });
  const base = resolveInput(withPreset(withProbes(written, cwd)));
  return settings.length === 0 ? base : resolveInput(withPreset(withProbes(applySettings(base, settings) as Record<string, unknown>, cwd)));
}

/** `dashboard.probes` as the list that its file holds, where it names one: content, not place, decides the key. */
function withProbes(config: Record<string, unknown>, cwd: string): Record<string, unknown> {
  const dashboard = config['dashboard'] as { probes?: unknown } | null | undefined;
  if (typeof dashboard?.probes !== 'string') return config;
  const path = resolve(cwd, dashboard.probes);
  try {
    return { ...config, dashboard: { ...dashboard, probes: JSON.parse(readText('dashboard.probes', dashboard.probes, path)) as unknown } };
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`${path}: not JSON: ${(error as Error).message}`, 'dashboard.probes is a list of probes, or the path of a JSON file that holds one (docs/formats.md).', { cause: error });
  }
}

function decidesOnFailure({ execution }: Record<string, unknown>): boolean {
  return typeof execution === 'object' && execution !== null && 'onShardFailure' in execution;
}

function readConfigFile(file: string): Record<string, unknown> {
  const path = resolve(file);
  const text = readText('--config', file, path);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const hint = /\.ya?ml$/i.test(file) ? 'Configuration files are JSON, not YAML.' : 'Mend the file; saeflow plan --json prints a whole configuration to start from.';
    throw new UserError(`${path}: not JSON: ${(error as Error).message}`, hint, { cause: error });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new UserError(`${path}: holds ${Array.isArray(value) ? 'a list' : JSON.stringify(value)}, not a configuration`, 'Write an object such as {"preset": "demo", "seed": 2}.');
  }
  return value as Record<string, unknown>;
}

function readText(option: string, file: string, path: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw new UserError(`${option} ${file}: ${(error as Error).message}`, 'Give the path of a JSON file.', { cause: error });
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw new UserError(`${path}: not UTF-8`, 'Save the file as UTF-8.', { cause: error });
  }
}
