// Histories as Temporal's UI and command line write them: JSON by protobuf's rules. @temporalio/common has functions for it
// that fail where npm installs more than one copy of protobufjs, as it does here (its copy refuses the types that another
// one made); so protobuf's own are taken, from the copy that @temporalio/proto uses.
import { createRequire } from 'node:module';
import type { History } from '@temporalio/common/lib/proto-utils.js';
import { UserError } from '../schemas/errors.ts';

interface ProtoJson {
  fromJson(type: unknown, json: unknown, options: { ignoreUnknownFields: boolean }): History;
  toJson(type: unknown, message: unknown): { events?: unknown[] };
}
interface HistoryType {
  fromObject(object: unknown): unknown;
}
interface Root {
  lookupType(name: string): HistoryType;
}

const ofCommon = createRequire(createRequire(import.meta.url).resolve('@temporalio/common'));
const ofProto = createRequire(ofCommon.resolve('@temporalio/proto'));
const { fromJson, toJson } = ofProto('protobufjs/ext/protojson') as ProtoJson;
const historyType = (ofCommon('@temporalio/proto') as Root).lookupType('temporal.api.history.v1.History');

/**
 * A history as the UI, `temporal workflow show --output json` and `saeflow replay --save` write it.
 *
 * @param name for the message: the file's
 * @throws UserError when it is not one.
 */
export function parseHistory(json: string, name: string): History {
  try {
    const history = fromJson(historyType, JSON.parse(json), { ignoreUnknownFields: true });
    if ((history.events ?? []).length === 0) throw new TypeError('it has no events');
    return history;
  } catch (error) {
    const why = error instanceof Error ? error.message.split('\n', 1)[0] : String(error);
    throw new UserError(`${name} is no workflow history: ${why}`, "Download one from the workflow's page in Temporal's UI (Download, with payloads as they are), or with: temporal workflow show --workflow-id ID --output json");
  }
}

/** A history as parseHistory reads it, one event a line, so that versions of it can be compared. */
export function formatHistory(history: History): string {
  const { events = [] } = toJson(historyType, historyType.fromObject(history));
  return `{"events": [\n${events.map((event) => JSON.stringify(event)).join(',\n')}\n]}\n`;
}
