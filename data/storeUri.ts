// Which store a process uses, said once for the command line and for workers.
import { resolve } from 'node:path';

const defaultStore = '.saeflow/store';

/** The store's URI: SAEFLOW_STORE, a folder or s3://bucket/prefix; default `.saeflow/store` in the current folder. */
export function storeUriOf(env: Record<string, string | undefined>): string {
  const uri = env['SAEFLOW_STORE'] || defaultStore;
  return uri.includes('://') ? uri : resolve(uri);
}
