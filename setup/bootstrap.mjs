// First step of `npm run setup`, `demo` and `test`: runs before any package is there, so it is plain JavaScript on Node
// alone. Installs the packages when they are missing or the lock file has changed, then hands over to setup/main.ts.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const stampFile = join(root, 'node_modules', '.saeflow-lock-sha256');

requireNode(20, 3);
installPackages();
if (!process.argv.includes('--packages-only')) {
  run(process.execPath, [join(root, 'node_modules', 'tsx', 'dist', 'cli.mjs'), join(root, 'setup', 'main.ts'), ...process.argv.slice(2)]);
}

function requireNode(major, minor) {
  const [ownMajor, ownMinor] = process.versions.node.split('.').map(Number);
  if (ownMajor > major || (ownMajor === major && ownMinor >= minor)) return;
  fail(`saeflow needs Node ${major}.${minor} or newer; this is ${process.versions.node} (${process.execPath}).`, 'Install a current Node from https://nodejs.org or with nvm.');
}

function installPackages() {
  const lockHash = createHash('sha256').update(readFileSync(join(root, 'package-lock.json'))).digest('hex');
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === lockHash) return;
  if (isInstalled()) return writeFileSync(stampFile, lockHash);
  console.log('setup: installing packages (npm ci)');
  const npm = process.env.npm_execpath;
  if (npm && npm.endsWith('.js')) run(process.execPath, [npm, 'ci']);
  else run('npm', ['ci']);
  writeFileSync(stampFile, lockHash);
}

/** Packages that somebody installed by hand need no second run: npm notes what it installed in the lock file's form. */
function isInstalled() {
  const note = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(note)) return false;
  const installed = JSON.parse(readFileSync(note, 'utf8')).packages;
  const locked = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
  return Object.entries(locked).every(([path, entry]) => path === '' || entry.optional || installed[path]?.version === entry.version);
}

function run(program, args) {
  const { status, error } = spawnSync(program, args, { cwd: root, stdio: 'inherit' });
  if (error) fail(`${program} could not be started: ${error.message}`, 'Install Node together with npm.');
  if (status !== 0) process.exit(status ?? 1);
}

function fail(message, remedy) {
  console.error(`setup: ${message}\n       ${remedy}`);
  process.exit(1);
}
