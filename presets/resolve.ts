// From what a person typed (nothing, a preset's name, some overrides, a full configuration) to a checked configuration.
// Used by the pipeline workflow and by the CLI, so that both refuse the same inputs with the same words.
import type { z } from 'zod';
import { pipelineConfig, type PipelineConfig } from '../schemas/config.ts';
import { UserError } from '../schemas/errors.ts';
import { defaultPreset, presets } from './presets.ts';

/**
 * The configuration an input stands for: nothing or `{}` is the default preset, a string a preset's name, and an object
 * is merged onto the preset it names in `preset` (default: the default preset). Objects merge field by field, lists
 * replace the preset's; an entry of `saes` merges onto the preset's SAE at its place (or its first).
 *
 * @throws UserError naming every wrong field, its value and what is wrong with it.
 * @example
 * resolveInput({ preset: 'tiny', seed: 2, saes: [{ features: 128 }] }).saes[0].batchSize; // 128: the preset's
 */
export function resolveInput(input: unknown): PipelineConfig {
  const { preset: name, overrides } = split(input);
  const preset = presetOf(name);
  const merged = merge(preset, overrides) as Record<string, unknown>;
  const saes = overrides['saes'];
  if (Array.isArray(saes)) {
    const [first] = preset.saes ?? [];
    merged['saes'] = saes.map((sae, index) => merge(preset.saes?.[index] ?? first ?? {}, sae));
  }
  const result = pipelineConfig.safeParse(merged, { reportInput: true });
  if (result.success) return result.data;
  const errors = result.error.issues.flatMap((issue) => describeIssue(issue, merged));
  throw new UserError(`${errors.length === 1 ? 'One field is' : `${errors.length} fields are`} wrong in the configuration:\n${errors.join('\n')}`, 'Mend these and start again.');
}

function split(input: unknown): { preset: unknown; overrides: Record<string, unknown> } {
  if (input === undefined || input === null) return { preset: defaultPreset, overrides: {} };
  if (typeof input === 'string') return { preset: input, overrides: {} };
  if (!isRecord(input)) throw new UserError(`the configuration is ${brief(input)}`, `Give an object such as {"preset": "${defaultPreset}", "seed": 2}, or a preset's name.`);
  const { preset = defaultPreset, ...overrides } = input;
  return { preset, overrides };
}

function presetOf(name: unknown) {
  const known = Object.entries(presets).find(([key]) => key === name);
  if (known === undefined) throw new UserError(`preset: no preset is called ${brief(name)}`, `Use one of: ${Object.keys(presets).join(', ')}.`);
  return known[1];
}

function merge(base: unknown, override: unknown): unknown {
  if (override === undefined) return base;
  if (!isRecord(base) || !isRecord(override)) return override;
  const merged: Record<string, unknown> = { ...base };
  for (const [name, value] of Object.entries(override)) merged[name] = merge(base[name], value);
  return merged;
}

/** `saes.0.features: expected int, received string (got "many")`: one line a field. */
function describeIssue(issue: z.core.$ZodIssue, root: unknown): string[] {
  const at = issue.path.map(String);
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => `${[...at, key].join('.')}: no such field (got ${brief(valueAt(root, [...at, key]))})`);
  }
  return [`${at.join('.')}: ${issue.message} (got ${brief(valueAt(root, at))})`];
}

function valueAt(root: unknown, path: string[]): unknown {
  return path.reduce<unknown>((value, name) => (typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined), root);
}

function brief(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length <= 80 ? text : `${text.slice(0, 77)}…`;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
