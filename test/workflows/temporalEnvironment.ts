// A real Temporal server for tests: the executable that set-up resolves, in memory, with saeflow's search attributes.
import { tmpdir } from 'node:os';
import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { searchAttributes } from '../../schemas/progress.ts';
import { cacheDirectory } from '../../setup/cache.ts';
import { resolveTemporal } from '../../setup/temporal.ts';

/**
 * Starts a server of the test's own, whatever server the developer's profile names; on request without the search
 * attributes, or with settings of its dynamic configuration (`name=JSON`).
 */
export async function startTemporal({ searchAttributes: withAttributes = true, settings = [] }: { searchAttributes?: boolean; settings?: string[] } = {}): Promise<TestWorkflowEnvironment> {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  const noProfile = { TEMPORAL_ADDRESS: undefined, TEMPORAL_PROFILE: undefined, TEMPORAL_CONFIG_FILE: undefined, HOME: tmpdir() };
  const temporal = await resolveTemporal({ ...process.env, ...noProfile, SAEFLOW_CACHE_DIR: cacheDirectory() });
  if (temporal.kind !== 'executable') throw new Error(`resolveTemporal found the address ${temporal.address}`);
  return TestWorkflowEnvironment.createLocal({
    server: {
      executable: { type: 'existing-path', path: temporal.path },
      searchAttributes: Object.entries(withAttributes ? searchAttributes : {}).map(([name, type]) => defineSearchAttributeKey(name, type === 'Int' ? SearchAttributeType.INT : SearchAttributeType.KEYWORD)),
      extraArgs: ['history.transferProcessorMaxPollRPS=1000', 'history.timerProcessorMaxPollRPS=1000', ...settings].flatMap((setting) => ['--dynamic-config-value', setting]),
      log: { format: 'pretty', level: 'error' },
    },
  });
}
