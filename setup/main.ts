// What `npm run setup` does once the packages are there: native TensorFlow, Temporal and, for the tests, a browser.
// Each part looks before it works, so a second run says what it found and ends at once.

import { UserError } from '../schemas/errors.ts';
import { setUpBrowser } from './browser.ts';
import { setUpTensorflow } from './tensorflow.ts';
import { resolveTemporal } from './temporal.ts';

const log = (line: string): void => console.log(`setup: ${line}`);

try {
  const [tensorflow, temporal] = [await setUpTensorflow(process.env, log), await resolveTemporal(process.env, log)];
  log(tensorflow.variant === 'wasm' ? `TensorFlow.js on WASM (${tensorflow.reason})` : `TensorFlow (${tensorflow.variant}) in ${tensorflow.path}`);
  log(temporal.kind === 'address' ? `Temporal at ${temporal.address}, namespace ${temporal.namespace}` : `Temporal ${temporal.version} in ${temporal.path}`);
  if (process.argv.includes('--for-tests')) log(`browser ${await setUpBrowser(process.env, log)}`);
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  console.error(`setup: ${error.message}\n       ${error.remedy}`);
  process.exit(1);
}
