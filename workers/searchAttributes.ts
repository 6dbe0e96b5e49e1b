// A workflow that sets a search attribute its namespace does not know is stuck, so workers see to that first.
import type { NativeConnection } from '@temporalio/worker';
import { UserError } from '../schemas/errors.ts';
import { searchAttributes } from '../schemas/progress.ts';

/** temporal.api.enums.v1.IndexedValueType */
const indexedValueType = { Keyword: 2, Int: 3 } as const;

/**
 * Registers saeflow's search attributes in a namespace that lacks them.
 *
 * @throws UserError with the commands to run, where this worker is not allowed to (Temporal Cloud).
 */
export async function ensureSearchAttributes({ operatorService }: NativeConnection, namespace: string): Promise<void> {
  let missing = Object.entries(searchAttributes);
  try {
    const { customAttributes } = await operatorService.listSearchAttributes({ namespace });
    missing = missing.filter(([name]) => customAttributes?.[name] === undefined || customAttributes[name] === null);
    if (missing.length === 0) return;
    await operatorService.addSearchAttributes({ namespace, searchAttributes: Object.fromEntries(missing.map(([name, type]) => [name, indexedValueType[type]])) });
  } catch (error) {
    // Another worker was first.
    if (/already exists/i.test(String(error))) return;
    const commands = missing.map(([name, type]) => `temporal operator search-attribute create --namespace ${namespace} --name ${name} --type ${type}`);
    throw new UserError(`namespace ${namespace} lacks search attributes, or can't be asked for them: ${error instanceof Error ? error.message : String(error)}`, `Create them once:\n${commands.join('\n')}`, { cause: error });
  }
}
