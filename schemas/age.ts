// How long ago, as a person writes it: 30m, 1h, 7d.
import { z } from 'zod';

const unitMs = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `7d` → milliseconds. */
export const age = z
  .string()
  .regex(/^\d+[smhd]$/, 'give a number with a unit: 30m, 1h or 7d')
  .transform((text) => Number(text.slice(0, -1)) * unitMs[text.slice(-1) as keyof typeof unitMs]);

/** `3600000` → `"1 h"`. */
export function formatAge(ms: number): string {
  const [unit, length] = Object.entries(unitMs).reverse().find(([, candidate]) => ms >= candidate && ms % candidate === 0) ?? ['s', 1_000];
  return `${ms / length} ${unit}`;
}
