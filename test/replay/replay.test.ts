// Runs that began before a change to workflows/ must be able to go on after it: recorded histories replay. When one does
// not, either the change needs `patched`, or runs are pinned to their worker's build and record.ts is run again.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporal } from '@temporalio/proto';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { beforeAll, describe, expect, it } from 'vitest';
import { workflowBundle } from '../../workers/workflowBundle.ts';
import * as workflows from '../../workflows/index.ts';

const names = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.json')).map((name) => name.slice(0, -'.json'.length));
const read = (name: string) => readFileSync(join(import.meta.dirname, `${name}.json`), 'utf8');

async function replay(json: string): Promise<void> {
  const history = temporal.api.history.v1.History.fromObject(JSON.parse(json) as object);
  const workflowId = history.events[0]?.workflowExecutionStartedEventAttributes?.workflowId;
  await Worker.runReplayHistory({ workflowBundle: await workflowBundle() }, history, workflowId ?? undefined);
}

beforeAll(async () => {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  await workflowBundle();
});

describe('recorded histories', () => {
  it('cover every workflow type', () => {
    expect(names).toEqual(expect.arrayContaining(Object.keys(workflows)));
  });

  it.each(names)('%s replays', async (name) => {
    await replay(read(name));
  });

  it('would not replay if the workflows did something else', async () => {
    const changed = read('trainSae').replaceAll('"resampleSae"', '"resampleSaeOfOld"');
    await expect(replay(changed)).rejects.toMatchObject({ name: 'DeterminismViolationError' });
  });
});
