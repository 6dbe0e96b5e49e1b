// What an artifact is called: SHA-256 of the canonical JSON of what affects it. Which fields those are is said here,
// by annotation on the schema; a field nobody classified is inside the key, so forgetting costs a re-run, never a wrong hit.
import { z } from 'zod';

/** A SHA-256 in hexadecimal. */
export const sha256Hex = z.string().regex(/^[0-9a-f]{64}$/, 'not a SHA-256: 64 hexadecimal digits');

/**
 * Marks a field as not affecting the result (queue, concurrency, retries, locations): it stays outside artifact keys.
 *
 * @example
 * z.strictObject({ steps: z.int(), checkpointEverySteps: outsideKey(z.int().default(100)) })
 */
export function outsideKey<Schema extends z.ZodType>(schema: Schema): Schema {
  return schema.meta({ affectsResult: false });
}

/** JSON with sorted object keys and no white space: equal values give equal text. Throws TypeError on NaN or Infinity. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value)
      .filter(([, child]) => child !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${entries.map(([name, child]) => `${JSON.stringify(name)}:${canonicalJson(child)}`).join(',')}}`;
  }
  if (typeof value === 'number' && !Number.isFinite(value)) throw new TypeError(`${value} has no canonical JSON`);
  return JSON.stringify(value);
}

/** The part of a parsed value that belongs in a key: everything but the fields marked `outsideKey`, at any depth. */
export function fieldsInsideKey(schema: z.ZodType, value: unknown): unknown {
  const inner = unwrap(schema);
  if (inner instanceof z.ZodArray && Array.isArray(value)) {
    return value.map((element) => fieldsInsideKey(inner.element as z.ZodType, element));
  }
  if (inner instanceof z.ZodUnion) {
    const option = (inner.options as z.ZodType[]).find((candidate) => candidate.safeParse(value).success);
    return option === undefined ? value : fieldsInsideKey(option, value);
  }
  if (!(inner instanceof z.ZodObject) || typeof value !== 'object' || value === null) return value;
  const shape = inner.shape as Record<string, z.ZodType>;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => shape[name] === undefined || affectsResult(shape[name]))
      .map(([name, child]) => [name, shape[name] === undefined ? child : fieldsInsideKey(shape[name], child)]),
  );
}

function affectsResult(schema: z.ZodType): boolean {
  return schema.meta()?.['affectsResult'] !== false;
}

function unwrap(schema: z.ZodType): z.ZodType {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional || schema instanceof z.ZodNullable) {
    return unwrap(schema.unwrap() as z.ZodType);
  }
  return schema;
}
