// The search attributes of the list view, typed once: which stage, which run, how many shards wait for a person.
import { defineSearchAttributeKey } from '@temporalio/common';

export const attributes = {
  stage: defineSearchAttributeKey('SaeflowStage', 'KEYWORD'),
  run: defineSearchAttributeKey('SaeflowRun', 'KEYWORD'),
  failedShards: defineSearchAttributeKey('SaeflowFailedShards', 'INT'),
  configHash: defineSearchAttributeKey('SaeflowConfigHash', 'KEYWORD'),
};
