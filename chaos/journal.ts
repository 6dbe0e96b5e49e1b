// What compute processes note of the shards they made, one line of JSON each.
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { stageName } from '../schemas/stages.ts';

/** Environment variable with the journal's path. */
export const journalVariable = 'SAEFLOW_CHAOS_JOURNAL';

const journalEntry = z.strictObject({
  stage: stageName,
  /** Number of its receipt. */
  part: z.int(),
  pid: z.int(),
  /** Whether the receipt was there before the job began. */
  hadReceipt: z.boolean(),
  /** Files it wrote: none when it found the shard made. */
  written: z.int(),
});
export type JournalEntry = z.infer<typeof journalEntry>;

/** The journal's entries; a last line that a kill cut off is left out. */
export function readJournal(file: string): JournalEntry[] {
  const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
  return lines.flatMap((line) => {
    try {
      return [journalEntry.parse(JSON.parse(line))];
    } catch {
      return [];
    }
  });
}
