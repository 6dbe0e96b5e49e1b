// What a run did twice, from two independent records: the histories, which say what Temporal was told, and the compute
// processes' journal, which says what was computed. Only what was in flight when something died may be computed again.
import type { Client } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import { historiesOf } from '../cli/histories.ts';
import { artifactId } from '../schemas/stages.ts';
import { z } from 'zod';
import { readJournal } from './journal.ts';

export interface Ledger {
  /** Shards and blocks whose activity completed. */
  shards: number;
  /** Stage, activity and number of each shard that two activities say they computed, or that was computed although its receipt was there. */
  duplicates: string[];
  /** Shards that were computed to their end twice because the first time was not heard of before the second began. */
  inFlight: number;
  workflows: number;
  longestHistory: number;
  /** Bytes of the largest event as JSON. */
  largestEvent: number;
}

const shardActivities = ['tokenizeShard', 'sampleShard', 'readFeaturesShard', 'writeFeaturesBlock', 'mapFeatures', 'writeTexts'];
const shardArgument = z.looseObject({ artifact: artifactId, shard: z.int().optional(), block: z.int().optional() });
const shardSummary = z.looseObject({ found: z.boolean() });

/** Reads the histories of a run and all it started, and the journal. */
export async function readLedger(client: Client, workflowId: string, journalFile: string): Promise<Ledger> {
  const computed = new Map<string, number>();
  const ledger: Ledger = { shards: 0, duplicates: [], inFlight: 0, workflows: 0, longestHistory: 0, largestEvent: 0 };
  for await (const { history } of historiesOf(client, workflowId)) {
    const events = history.events ?? [];
    ledger.workflows++;
    ledger.longestHistory = Math.max(ledger.longestHistory, events.length);
    for (const event of events) ledger.largestEvent = Math.max(ledger.largestEvent, JSON.stringify(event).length);
    for (const { activityTaskCompletedEventAttributes: completed } of events) {
      if (!completed) continue;
      const scheduled = events.find(({ eventId }) => String(eventId) === String(completed.scheduledEventId))?.activityTaskScheduledEventAttributes;
      const type = scheduled?.activityType?.name ?? '';
      if (!shardActivities.includes(type)) continue;
      const { artifact, shard, block } = shardArgument.parse(defaultPayloadConverter.fromPayload(scheduled!.input!.payloads![0]!));
      const { found } = shardSummary.parse(defaultPayloadConverter.fromPayload(completed.result!.payloads![0]!));
      ledger.shards++;
      const name = `${artifact.stage} ${type} ${shard ?? block}`;
      computed.set(name, (computed.get(name) ?? 0) + (found ? 0 : 1));
    }
  }
  ledger.duplicates.push(...[...computed].filter(([, times]) => times > 1).map(([name]) => name));
  const made = new Map<string, number>();
  for (const { stage, part, hadReceipt, written } of readJournal(journalFile)) {
    if (written === 0) continue;
    const name = `${stage} receipt ${part}`;
    if (hadReceipt) ledger.duplicates.push(name);
    else made.set(name, (made.get(name) ?? 0) + 1);
  }
  ledger.inFlight = [...made.values()].reduce((sum, times) => sum + times - 1, 0);
  return ledger;
}
