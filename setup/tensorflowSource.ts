// Fetches libtensorflow out of a package registry (a Python wheel by pip, or a jar by Maven) and lays it out as the
// binding expects it. TensorFlow.js's own installer loads an older library from a host that closed networks don't reach.

import { existsSync } from 'node:fs';
import { cp, mkdir, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { UserError } from '../schemas/errors.ts';
import { formatBytes, type Environment } from './cache.ts';
import { CommandError, findOnPath, runCommand } from './command.ts';
import { verifySha256 } from './download.ts';
import { cudaRequirements, libraryFiles, type TensorflowArchive } from './tensorflowPins.ts';

/** What fetching needs to know of its surroundings. */
export interface FetchContext {
  env: Environment;
  log: (line: string) => void;
}

/** Remedy shown whenever no way of fetching or unpacking is left. */
export const prerequisitesRemedy =
  'Install them, e.g. apt-get install -y g++ python3 python3-pip binutils — or set SAEFLOW_TF_VARIANT=wasm to run without native TensorFlow (about 10 times slower).';

/**
 * Puts libtensorflow of the first archive that can be had into `<staging>/deps/lib`, stripped, with its headers in
 * `<staging>/deps/include`. `SAEFLOW_TF_ARCHIVE` names an archive that is already on this machine.
 *
 * @throws UserError when no route works, or when a file's SHA-256 is not the pinned one.
 */
export async function fetchLibtensorflow(archives: TensorflowArchive[], staging: string, context: FetchContext): Promise<void> {
  const download = join(staging, 'download');
  await mkdir(download, { recursive: true });
  const { archive, path } = await obtainArchive(archives, download, context);
  await unpackLibraries(archive, path, staging, context);
  await rm(download, { recursive: true, force: true });
}

/** Unpacks the CUDA 12 libraries to `<staging>/deps/nvidia`, where the CUDA build of libtensorflow looks for them. */
export async function fetchCudaLibraries(staging: string, context: FetchContext): Promise<void> {
  const python = findOnPath('python3', context.env);
  if (!python) throw new UserError('The CUDA libraries come by pip, and python3 is not on the PATH.', prerequisitesRemedy);
  const requirements = join(staging, 'cuda-requirements.txt');
  await writeFile(requirements, cudaRequirements);
  context.log('fetching the CUDA 12 libraries (2.8 GB)');
  await runCommand(
    python,
    ['-m', 'pip', 'install', '--quiet', '--no-deps', '--no-cache-dir', '--require-hashes', '--only-binary=:all:', '--target', join(staging, 'deps'), '-r', requirements],
    { env: context.env, progress: 'fetching the CUDA 12 libraries', log: context.log },
  );
  await rm(requirements);
}

async function obtainArchive(archives: TensorflowArchive[], download: string, context: FetchContext): Promise<{ archive: TensorflowArchive; path: string }> {
  const given = context.env['SAEFLOW_TF_ARCHIVE'];
  if (given) return useGivenArchive(archives, given);
  const reasons: string[] = [];
  for (const archive of archives) {
    try {
      const path = await downloadArchive(archive, download, context);
      await verifySha256(path, archive.sha256);
      return { archive, path };
    } catch (error) {
      if (error instanceof UserError) throw error;
      reasons.push(error instanceof Error ? error.message : String(error));
      context.log(`${archive.file} could not be had this way: ${firstLine(reasons.at(-1)!)}`);
    }
  }
  throw new UserError(`libtensorflow could not be fetched:\n${reasons.map((reason) => `  - ${reason}`).join('\n')}`, prerequisitesRemedy);
}

async function useGivenArchive(archives: TensorflowArchive[], path: string): Promise<{ archive: TensorflowArchive; path: string }> {
  const names = archives.map((archive) => archive.file).join(' or ');
  const archive = archives.find((candidate) => candidate.file === basename(path));
  if (!archive || !existsSync(path)) {
    throw new UserError(`SAEFLOW_TF_ARCHIVE=${path} is not a file that set-up knows.`, `Point it to ${names}, or unset it.`);
  }
  await verifySha256(path, archive.sha256);
  return { archive, path };
}

async function downloadArchive(archive: TensorflowArchive, download: string, { env, log }: FetchContext): Promise<string> {
  const { source } = archive;
  const options = { env, log, progress: `fetching ${archive.file}` };
  log(`fetching ${archive.file} (${formatBytes(archive.bytes)}) by ${source.kind === 'pip' ? 'pip' : 'Maven'}`);
  if (source.kind === 'pip') {
    const python = findOnPath('python3', env);
    if (!python) throw new CommandError('python3 is not on the PATH');
    // A fixed tag, so that any Python with pip will do: the libraries don't depend on Python.
    const tag = ['--python-version', '3.11', '--implementation', 'cp', '--abi', 'cp311', ...source.platforms.flatMap((platform) => ['--platform', platform])];
    await runCommand(python, ['-m', 'pip', 'download', '--quiet', '--no-cache-dir', '--disable-pip-version-check', '--no-deps', '--only-binary=:all:', ...tag, '-d', download, source.requirement], options);
    return join(download, archive.file);
  }
  const maven = findOnPath('mvn', env);
  if (!maven) throw new CommandError('mvn (Maven) is not on the PATH');
  const repository = join(download, 'm2');
  await runCommand(maven, ['-q', '-B', 'dependency:get', '-Dtransitive=false', `-Dartifact=${source.artifact}`, `-Dmaven.repo.local=${repository}`], options);
  const [group, name, version] = source.artifact.split(':') as [string, string, string];
  return join(repository, ...group.split('.'), name, version, archive.file);
}

async function unpackLibraries(archive: TensorflowArchive, path: string, staging: string, { env, log }: FetchContext): Promise<void> {
  const unpacked = join(staging, 'unpacked');
  const libraries = join(staging, 'deps', 'lib');
  await mkdir(unpacked, { recursive: true });
  await mkdir(libraries, { recursive: true });
  log(`unpacking ${libraryFiles.map(([file]) => file).join(', ')}`);
  await extract(path, libraryFiles.map(([file]) => `${archive.libraries}/${file}`), unpacked, env);
  let bytes = 0;
  for (const [file, linkName] of libraryFiles) {
    const target = join(libraries, file);
    await rename(join(unpacked, archive.libraries, file), target);
    await symlink(file, join(libraries, linkName));
    await stripSymbols(target, env);
    bytes += (await stat(target)).size;
  }
  await rm(unpacked, { recursive: true });
  await cp(join(import.meta.dirname, 'headers'), join(staging, 'deps', 'include'), { recursive: true });
  log(`libtensorflow is ${formatBytes(bytes)} on disk`);
}

/** Extracts some entries of a zip (or jar) with whatever this machine has for it. */
async function extract(archive: string, entries: string[], target: string, env: Environment): Promise<void> {
  const python = findOnPath('python3', env);
  const script = 'import sys, zipfile\nz = zipfile.ZipFile(sys.argv[1])\nfor entry in sys.argv[3:]: z.extract(entry, sys.argv[2])';
  if (python) return void (await runCommand(python, ['-c', script, archive, target, ...entries], { env }));
  const unzip = findOnPath('unzip', env);
  if (unzip) return void (await runCommand(unzip, ['-qo', archive, ...entries, '-d', target], { env }));
  const jarTool = findOnPath('jar', env);
  if (jarTool) return void (await runCommand(jarTool, ['xf', archive, ...entries], { env, cwd: target }));
  throw new UserError('None of python3, unzip and jar is on the PATH to unpack libtensorflow.', prerequisitesRemedy);
}

/** Drops symbol tables: 853 MB become 634 MB. Without binutils the library works as it is. */
async function stripSymbols(library: string, env: Environment): Promise<void> {
  const strip = findOnPath('strip', env);
  if (strip) await runCommand(strip, ['-s', library], { env });
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? '';
}
