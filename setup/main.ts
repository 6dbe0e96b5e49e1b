// What `npm run setup` does once the packages are there: native TensorFlow, the SAE kernel, Temporal, and for the tests a browser and
// an S3 server. Each part looks before it works, so a second run says what it found and ends at once.
// `--tensorflow-only` (and the kernel) is for workers whose Temporal server is elsewhere (infra/Dockerfile).

import { UserError } from '../schemas/errors.ts';
import { setUpBrowser } from './browser.ts';
import { ensureS3Server } from './s3Server.ts';
import { setUpSaeKernel } from './saeKernel.ts';
import { setUpTensorflow } from './tensorflow.ts';
import { resolveTemporal } from './temporal.ts';

const log = (line: string): void => console.log(`setup: ${line}`);
const asked = (flag: string): boolean => process.argv.includes(flag);

try {
  const tensorflow = await setUpTensorflow(process.env, log);
  log(tensorflow.variant === 'wasm' ? `TensorFlow.js on WASM (${tensorflow.reason})` : `TensorFlow (${tensorflow.variant}) in ${tensorflow.path}`);
  const kernel = await setUpSaeKernel(process.env, log);
  if (kernel !== undefined) log(`SAE kernel in ${kernel}`);
  if (!asked('--tensorflow-only')) {
    const temporal = await resolveTemporal(process.env, log);
    log(temporal.kind === 'address' ? `Temporal at ${temporal.address}, namespace ${temporal.namespace}` : `Temporal ${temporal.version} in ${temporal.path}`);
  }
  if (asked('--for-tests')) {
    log(`browser ${await setUpBrowser(process.env, log)}`);
    log(`S3 server for tests in ${await ensureS3Server(process.env, log)}`);
  }
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  console.error(`setup: ${error.message}\n       ${error.remedy}`);
  process.exit(1);
}
