// Runs that began before a change to workflows/ must be able to go on after it: recorded histories replay. When one does
// not, either the change needs `patched`, or runs are pinned to their worker's build and `npm run record-histories` is due.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { formatHistory, parseHistory } from '../../workers/historyJson.ts';
import { quietRuntime, replayHistory } from '../../workers/replay.ts';
import { workflowBundle } from '../../workers/workflowBundle.ts';
import * as workflows from '../../workflows/index.ts';

const names = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.json'));
const read = (name: string) => readFileSync(join(import.meta.dirname, name), 'utf8');
const history = (name: string) => parseHistory(read(name), name);

beforeAll(async () => {
  quietRuntime();
  await workflowBundle();
});

describe('recorded histories', () => {
  it('are there for every workflow type', () => {
    const recorded = names.map((name) => history(name).events?.[0]?.workflowExecutionStartedEventAttributes?.workflowType?.name);
    expect([...new Set(recorded)].sort(), 'record one in test/replay/record.ts, then npm run record-histories').toEqual(Object.keys(workflows).sort());
  });

  it.each(names)('%s replays', async (name) => {
    expect(await replayHistory(history(name))).not.toHaveProperty('difference');
  });
});

describe('a history that the code does not lead to', () => {
  it('is told apart, with the place where it differs', async () => {
    const changed = parseHistory(read('trainSae.json').replaceAll('"resampleSae"', '"resampleSaeOfOld"'), 'changed');
    const { workflowType, difference } = await replayHistory(changed);
    expect(workflowType).toBe('trainSae');
    const first = changed.events!.find(({ activityTaskScheduledEventAttributes: scheduled }) => scheduled?.activityType?.name === 'resampleSaeOfOld')!;
    expect(difference!.fromEvent).toBeLessThanOrEqual(Number(first.eventId));
    expect(difference!.toEvent).toBeGreaterThanOrEqual(Number(first.eventId));
    // The place is one workflow task, not the whole history.
    expect(difference!.toEvent - difference!.fromEvent).toBeLessThan(12);
    expect(difference!.eventTypes).toContain('activityTaskScheduled resampleSaeOfOld');
    expect(difference!.message).toContain('resampleSae');
  });

  it('also when it is of a workflow type that is gone', async () => {
    const { difference } = await replayHistory(parseHistory(read('trainSae.json').replaceAll('"name":"trainSae"', '"name":"trainSaeOfOld"'), 'gone'));
    expect(difference?.message).toContain('trainSaeOfOld');
  });
});

describe('parseHistory', () => {
  it('reads what formatHistory writes', () => {
    const text = read('tokenize.json');
    expect(formatHistory(parseHistory(text, 'tokenize.json'))).toBe(text);
  });

  it.each(['{', '{"events": 3}', '{"hello": []}'])('refuses %s, naming the file and the remedy', (text) => {
    expect(() => parseHistory(text, 'mine.json')).toThrow(expect.objectContaining({ name: 'UserError', message: expect.stringContaining('mine.json') as string }));
  });
});
