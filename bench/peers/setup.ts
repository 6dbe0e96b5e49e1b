// The Python peers of the benches, in virtual environments of their own in the cache: nobody who only runs the project
// downloads PyTorch, and nobody who only measures tokenizing. Made once, when a bench first needs its peers.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { UserError } from '../../schemas/errors.ts';
import { buildOnce, cacheDirectory, formatBytes, requireFreeBytes, type Environment } from '../../setup/cache.ts';
import { CommandError, findOnPath, runCommand, tryCommand } from '../../setup/command.ts';

/** Peers that are installed together. */
export interface Peers {
  requirements: string;
  /** In words. */
  what: string;
  downloadBytes: number;
  installedBytes: number;
}

/** Measured: PyTorch from PyPI needs its CUDA libraries to be imported, with or without a GPU. */
export const trainingPeers: Peers = {
  requirements: fileURLToPath(new URL('./requirements.txt', import.meta.url)),
  what: 'PyTorch, SAELens, dictionary_learning',
  downloadBytes: 3.5e9,
  installedBytes: 6.7e9,
};
export const tokenizerPeers: Peers = {
  requirements: fileURLToPath(new URL('./requirements-tokenize.txt', import.meta.url)),
  what: 'tiktoken, tokenizers',
  downloadBytes: 20e6,
  installedBytes: 80e6,
};
export const readerPeers: Peers = {
  requirements: fileURLToPath(new URL('./requirements-readers.txt', import.meta.url)),
  what: 'pyarrow, polars, DuckDB',
  downloadBytes: 160e6,
  installedBytes: 520e6,
};
export const dashboardPeers: Peers = {
  requirements: fileURLToPath(new URL('./requirements-dashboard.txt', import.meta.url)),
  what: 'sae_dashboard, SAELens, PyTorch',
  downloadBytes: 3.5e9,
  installedBytes: 6.7e9,
};
/** NumPy 2.4 needs it. */
const oldestPython = [3, 11] as const;

/**
 * The interpreter that has the peers: `SAEFLOW_PEERS_PYTHON` when set, else that of the virtual environment in the cache,
 * which is made from the peers' requirements when it is not there.
 *
 * @throws UserError when Python is missing or too old, the disk too small or the registry out of reach.
 */
export async function peersPython(log: (line: string) => void, env: Environment = process.env, peers: Peers = trainingPeers): Promise<string> {
  if (env['SAEFLOW_PEERS_PYTHON']) return env['SAEFLOW_PEERS_PYTHON'];
  const python = findOnPath('python3', env);
  if (python === undefined) throw new UserError('the peers of the benches need Python 3, and there is none on the PATH', 'apt-get install -y python3 python3-venv, or set SAEFLOW_PEERS_PYTHON.');
  const version = await pythonVersion(python, env);
  const hash = createHash('sha256').update(readFileSync(peers.requirements)).digest('hex').slice(0, 12);
  const path = join(cacheDirectory(env), 'bench-peers', `python${version}-${hash}`);
  await buildOnce(path, (staging) => install(peers, python, staging, env, log), log);
  // A virtual environment may be moved: its interpreter finds its packages from where it lies. Its scripts are not used.
  return join(path, 'bin', 'python');
}

async function pythonVersion(python: string, env: Environment): Promise<string> {
  const { stdout } = await tryCommand(python, ['-c', 'import sys; print("%d.%d" % sys.version_info[:2])'], { env });
  const [major = 0, minor = 0] = stdout.trim().split('.').map(Number);
  const [oldestMajor, oldestMinor] = oldestPython;
  if (major > oldestMajor || (major === oldestMajor && minor >= oldestMinor)) return `${major}.${minor}`;
  throw new UserError(`the peers of the benches need Python ${oldestPython.join('.')} or newer; ${python} is ${stdout.trim() || 'no Python that runs'}`, 'Put a newer python3 first on the PATH, or set SAEFLOW_PEERS_PYTHON.');
}

async function install({ requirements, what, downloadBytes, installedBytes }: Peers, python: string, staging: string, env: Environment, log: (line: string) => void): Promise<void> {
  await requireFreeBytes(dirname(staging), installedBytes + downloadBytes, 'Installing the peers of the benches');
  log(`Installing the peers of the benches (${what}) into ${dirname(staging)}: about ${formatBytes(downloadBytes)} to download, ${formatBytes(installedBytes)} on disk, once`);
  const interpreter = join(staging, 'bin', 'python');
  try {
    await runCommand(python, ['-m', 'venv', staging], { env });
    const options = { env, log, progress: 'pip install' };
    await runCommand(interpreter, ['-m', 'pip', 'install', '--disable-pip-version-check', '--no-cache-dir', '--no-deps', '-r', requirements], options);
    await runCommand(interpreter, ['-m', 'pip', 'check', '--disable-pip-version-check'], options);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    throw new UserError(`the peers of the benches could not be installed: ${error.message}`, 'apt-get install -y python3-venv; check that pip reaches its registry; or set SAEFLOW_PEERS_PYTHON to an interpreter that has bench/peers/requirements*.txt.', { cause: error });
  }
}
