// The dashboard's tests look at it in a real headless browser. One from this machine is used; where there is none and
// the system's packages can be installed, Debian's chromium is. Nothing is downloaded from anywhere else.

import { UserError } from '../schemas/errors.ts';
import type { Environment } from './cache.ts';
import { CommandError, findOnPath, isExecutable, runCommand } from './command.ts';

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome', 'microsoft-edge'];
const macBrowsers = ['/Applications/Google Chrome.app/Contents/MacOS/Google Chrome', '/Applications/Chromium.app/Contents/MacOS/Chromium'];
const remedy = 'Install Chromium or Chrome (Debian: apt-get install -y chromium), or set CHROME_PATH to its executable.';

/**
 * The path of a Chromium or Chrome: CHROME_PATH, else one on the PATH; undefined when there is none.
 *
 * @throws UserError when CHROME_PATH names no executable.
 */
export function findBrowser(env: Environment = process.env): string | undefined {
  const given = env['CHROME_PATH'];
  if (given && !isExecutable(given)) throw new UserError(`CHROME_PATH=${given} is not an executable file.`, 'Correct or unset it.');
  if (given) return given;
  return names.map((name) => findOnPath(name, env)).find((path) => path !== undefined) ?? macBrowsers.find(isExecutable);
}

/**
 * Finds a browser, installing Debian's chromium where that is possible (root, apt-get).
 *
 * @throws UserError when there is none and it can't be installed.
 */
export async function setUpBrowser(env: Environment = process.env, log: (line: string) => void = console.log): Promise<string> {
  const present = findBrowser(env);
  if (present) return present;
  const aptGet = findOnPath('apt-get', env);
  if (!aptGet || process.getuid?.() !== 0) throw new UserError('The dashboard’s tests need a browser, and there is none.', remedy);
  const options = { env: { ...env, DEBIAN_FRONTEND: 'noninteractive' }, log, progress: 'installing chromium' };
  log('installing chromium (apt-get, about 300 MB)');
  try {
    await runCommand(aptGet, ['update', '-qq'], options);
    await runCommand(aptGet, ['install', '-y', '-qq', '--no-install-recommends', 'chromium'], options);
  } catch (error) {
    if (error instanceof CommandError) throw new UserError(`Chromium could not be installed: ${error.message}`, remedy);
    throw error;
  }
  const installed = findBrowser(env);
  if (installed) return installed;
  throw new UserError('apt-get installed chromium, but there is no browser on the PATH (on Ubuntu that package is a stub for snap).', remedy);
}
