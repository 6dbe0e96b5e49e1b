// The workflows' code as Temporal's sandbox wants it: bundled once a process (some seconds), shared by all its workers.
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, type WorkflowBundleWithSourceMap } from '@temporalio/worker';

const bundles = new Map<string, Promise<WorkflowBundleWithSourceMap>>();

/** The bundle; `payloadConverterPath` is that of the data converter in use, if it has one. */
export function workflowBundle(payloadConverterPath?: string, workflowInterceptorModules: readonly string[] = []): Promise<WorkflowBundleWithSourceMap> {
  const name = [payloadConverterPath ?? '', ...workflowInterceptorModules].join('\n');
  const cached = bundles.get(name);
  if (cached !== undefined) return cached;
  const bundle = bundleWorkflowCode({
    workflowsPath: fileURLToPath(new URL('../workflows/index.ts', import.meta.url)),
    logger: { trace() {}, debug() {}, info() {}, warn: console.warn, error: console.error, log() {} },
    workflowInterceptorModules: [...workflowInterceptorModules],
    ...(payloadConverterPath === undefined ? {} : { payloadConverterPath }),
  });
  bundles.set(name, bundle);
  return bundle;
}
