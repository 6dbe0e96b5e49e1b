// Inputs of the activities that let activation shards come and go while SAEs read them (workflows/supplyActivations.ts).
import { z } from 'zod';
import { artifactId } from '../schemas/stages.ts';

const number = z.int().nonnegative();

export const readingInput = z.strictObject({
  /** Of stage trainSae. */
  artifact: artifactId,
  job: z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('initialise') }),
    /** `absent`: a shard was not there that should have been. */
    z.strictObject({ kind: z.literal('segment'), from: number, toStep: number, absent: z.boolean() }),
    z.strictObject({ kind: z.literal('resample'), step: number }),
  ]),
});
export type ReadingInput = z.infer<typeof readingInput>;

export const dropInput = z.strictObject({ artifact: artifactId, shards: z.array(number) });
export type DropInput = z.infer<typeof dropInput>;
