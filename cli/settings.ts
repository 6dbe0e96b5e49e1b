// `--set path=value`: one field of the configuration, addressed as error messages address it. Values are set in the
// resolved configuration, so a list keeps its other entries, and the whole is checked again by the schema afterwards.
import { UserError } from '../schemas/errors.ts';

/** One `--set`: where, and what. */
export interface Setting {
  path: string[];
  value: unknown;
}

/**
 * Reads `saes.0.l1Coefficient=0.002`. The value is JSON if it is JSON (numbers, true, null, lists), otherwise text.
 *
 * @throws UserError without an equals sign or with an empty part in the path.
 * @example
 * parseSetting('seed=2'); // { path: ['seed'], value: 2 }
 */
export function parseSetting(text: string): Setting {
  const equals = text.indexOf('=');
  const path = text.slice(0, Math.max(0, equals)).split('.');
  if (equals < 1 || path.some((part) => part.trim() === '')) {
    throw new UserError(`--set ${text}: not of the form path=value`, 'Write for example --set saes.0.l1Coefficient=0.002 or --set seed=2.');
  }
  return { path: path.map((part) => part.trim()), value: parseValue(text.slice(equals + 1)) };
}

/**
 * A copy of `config` with the settings made. Fields nobody knows are set too: the schema refuses them by name.
 *
 * @throws UserError where a path leads through something that is neither an object nor a list, or beyond a list's end.
 */
export function applySettings(config: unknown, settings: readonly Setting[]): unknown {
  const copy: unknown = structuredClone(config);
  for (const setting of settings) setAt(copy, setting);
  return copy;
}

function setAt(root: unknown, { path, value }: Setting): void {
  let parent = root;
  for (const [depth, name] of path.entries()) {
    const at = path.slice(0, depth + 1).join('.');
    const last = depth === path.length - 1;
    if (Array.isArray(parent)) {
      const index = indexIn(parent, name, at);
      // One past the end begins a new entry.
      if (last) parent[index] = value;
      else parent[index] ??= {};
      parent = parent[index];
    } else if (isRecord(parent)) {
      if (name === '__proto__') throw new UserError(`--set ${at}: no such field`, 'Run saeflow plan --json to see all fields.');
      if (last) parent[name] = value;
      else parent[name] ??= {};
      parent = parent[name];
    } else {
      throw new UserError(`--set ${path.join('.')}: ${path.slice(0, depth).join('.')} is ${JSON.stringify(parent)}, which has no fields`, 'Shorten the path.');
    }
  }
}

function indexIn(list: readonly unknown[], name: string, at: string): number {
  const index = Number(name);
  if (/^\d+$/.test(name) && index <= list.length) return index;
  throw new UserError(`--set ${at}: not an entry of a list of ${list.length}`, list.length === 0 ? 'Use 0.' : `Use a number from 0 to ${list.length - 1}, or ${list.length} for one more entry.`);
}

function parseValue(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
