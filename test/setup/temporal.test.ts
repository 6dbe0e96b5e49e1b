// How Temporal is found: the order of places, and the download against a real HTTP server that serves a real archive,
// a broken one, a changed one, or nothing at all.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { cacheDirectory, type Environment } from '../../setup/cache.ts';
import { findOnPath } from '../../setup/command.ts';
import { resolveTemporal, temporalCliVersion, type ReleaseSource } from '../../setup/temporal.ts';

const scratch = mkdtempSync(join(tmpdir(), 'saeflow-temporal-'));
const limits = { responseMs: 2_000, bodyMs: 20_000, retryMs: 10 };
const platform = `${process.platform}-${process.arch}`;
const servers: Server[] = [];
let realTemporal: string;
let archive: Buffer;
let release: ReleaseSource;
let counter = 0;

/** An environment with an empty home, an empty cache and a PATH of just the tools named. */
function bareEnvironment(tools: string[] = []): Environment {
  const folder = join(scratch, `env-${counter++}`);
  mkdirSync(join(folder, 'bin'), { recursive: true });
  for (const tool of tools) symlinkSync(findOnPath(tool, process.env) ?? `${tool}-is-missing`, join(folder, 'bin', tool));
  return { HOME: folder, PATH: join(folder, 'bin'), SAEFLOW_CACHE_DIR: join(folder, 'cache') };
}

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((done) => void server.listen(0, '127.0.0.1', done));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function resolveFrom(site: string, source: ReleaseSource = release): Promise<{ result: Promise<unknown>; lines: string[]; env: Environment }> {
  const env = { ...bareEnvironment(['tar', 'gzip', 'sh']), SAEFLOW_TEMPORAL_DOWNLOAD_URL: site };
  const lines: string[] = [];
  const result = resolveTemporal(env, (line) => lines.push(line), source);
  await result.catch(() => undefined);
  return { result, lines, env };
}

function cacheEntries(env: Environment): string[] {
  return readdirSync(join(env['SAEFLOW_CACHE_DIR'] ?? '', 'temporal'));
}

beforeAll(async () => {
  const found = await resolveTemporal({ ...process.env, TEMPORAL_ADDRESS: '', TEMPORAL_PROFILE: '', TEMPORAL_CONFIG_FILE: '', HOME: scratch, SAEFLOW_CACHE_DIR: cacheDirectory() });
  if (found.kind !== 'executable') throw new Error('no executable was found');
  realTemporal = found.path;
  // The archive's `temporal` hands over to the real one: 213 MB need not be packed for every run.
  writeFileSync(join(scratch, 'temporal'), `#!/bin/sh\nexec ${realTemporal} "$@"\n`);
  chmodSync(join(scratch, 'temporal'), 0o755);
  execFileSync('tar', ['-czf', join(scratch, 'release.tar.gz'), '-C', scratch, 'temporal']);
  archive = readFileSync(join(scratch, 'release.tar.gz'));
  release = { sha256: { [platform]: createHash('sha256').update(archive).digest('hex') }, limits };
}, 600_000);

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe('the order in which Temporal is looked for', () => {
  it('takes TEMPORAL_ADDRESS before any executable', async () => {
    const env = { ...bareEnvironment(), TEMPORAL_ADDRESS: '10.1.2.3:7233', TEMPORAL_NAMESPACE: 'lab', TEMPORAL_CLI_PATH: realTemporal };
    expect(await resolveTemporal(env)).toMatchObject({ kind: 'address', address: '10.1.2.3:7233', namespace: 'lab' });
  });

  it('takes the address of the profile that TEMPORAL_PROFILE names', async () => {
    const env = bareEnvironment();
    const file = join(env['HOME'] ?? '', 'temporal.toml');
    writeFileSync(file, '[profile.cloud]\naddress = "lab.a1b2c.tmprl.cloud:7233"\nnamespace = "lab.a1b2c"\napi_key = "secret"\n');
    const found = await resolveTemporal({ ...env, TEMPORAL_CONFIG_FILE: file, TEMPORAL_PROFILE: 'cloud', TEMPORAL_CLI_PATH: realTemporal });
    expect(found).toMatchObject({ kind: 'address', address: 'lab.a1b2c.tmprl.cloud:7233', namespace: 'lab.a1b2c', connectionOptions: { apiKey: 'secret', tls: true } });
  });

  it('refuses a profile or a profile file that does not exist, rather than running somewhere else', async () => {
    await expect(resolveTemporal({ ...bareEnvironment(), TEMPORAL_PROFILE: 'clowd' })).rejects.toMatchObject({ name: 'UserError', message: expect.stringContaining('clowd') as string });
    await expect(resolveTemporal({ ...bareEnvironment(), TEMPORAL_CONFIG_FILE: '/nowhere/temporal.toml' })).rejects.toThrow('/nowhere/temporal.toml');
  });

  it('says of a profile file without a profile what belongs into it', async () => {
    const env = bareEnvironment();
    const file = join(env['HOME'] ?? '', 'temporal.toml');
    writeFileSync(file, '# nothing yet\n');
    await expect(resolveTemporal({ ...env, TEMPORAL_CONFIG_FILE: file })).rejects.toMatchObject({ name: 'UserError', message: `The Temporal profile file ${file} holds no profile.`, remedy: expect.stringContaining('[profile.default]') as string });
  });

  it('takes TEMPORAL_CLI_PATH, then the PATH, then the cache', async () => {
    const env = bareEnvironment();
    const inCache = join(env['SAEFLOW_CACHE_DIR'] ?? '', 'temporal', `${temporalCliVersion}-${platform}`, 'temporal');
    const onPath = join(env['PATH'] ?? '', 'temporal');
    mkdirSync(join(inCache, '..'), { recursive: true });
    symlinkSync(realTemporal, inCache);
    expect(await resolveTemporal(env)).toMatchObject({ path: inCache, origin: 'cache', version: expect.stringMatching(/Server \d/) as string });
    symlinkSync(realTemporal, onPath);
    expect(await resolveTemporal(env)).toMatchObject({ path: onPath, origin: 'PATH' });
    expect(await resolveTemporal({ ...env, TEMPORAL_CLI_PATH: realTemporal })).toMatchObject({ path: realTemporal, origin: 'TEMPORAL_CLI_PATH' });
  });

  it('refuses a TEMPORAL_CLI_PATH that is no Temporal', async () => {
    await expect(resolveTemporal({ ...bareEnvironment(), TEMPORAL_CLI_PATH: process.execPath })).rejects.toMatchObject({ name: 'UserError', message: expect.stringContaining('TEMPORAL_CLI_PATH') as string });
  });
});

describe('fetching the release', () => {
  it('installs the pinned version into the cache once, asking for this platform', async () => {
    const asked: string[] = [];
    const site = await serve((request, response) => {
      asked.push(request.url ?? '');
      response.end(archive);
    });
    const { result, env } = await resolveFrom(site);
    expect(await result).toMatchObject({ kind: 'executable', origin: 'cache', path: expect.stringContaining(env['SAEFLOW_CACHE_DIR'] ?? '') as string });
    const architecture = process.arch === 'x64' ? 'amd64' : process.arch;
    expect(asked).toEqual([`/${temporalCliVersion}?platform=${process.platform}&arch=${architecture}`]);
    await resolveTemporal(env, () => undefined, release);
    expect(asked).toHaveLength(1);
    expect(cacheEntries(env)).toEqual([`${temporalCliVersion}-${platform}`]);
  });

  it('tries again when the body breaks off', async () => {
    let requests = 0;
    const site = await serve((_request, response) => {
      response.setHeader('content-length', archive.length);
      if (requests++ > 0) return void response.end(archive);
      response.write(archive.subarray(0, archive.length / 2), () => response.destroy());
    });
    const { result, lines } = await resolveFrom(site);
    expect(await result).toMatchObject({ kind: 'executable' });
    expect(requests).toBe(2);
    expect(lines.join('\n')).toContain('broke off');
  });

  it('leaves nothing in the cache when the body always breaks off, and says what to do', async () => {
    const site = await serve((_request, response) => {
      response.setHeader('content-length', archive.length);
      response.write(archive.subarray(0, archive.length / 2), () => response.destroy());
    });
    const { result, env } = await resolveFrom(site);
    await expect(result).rejects.toMatchObject({ name: 'UserError', message: expect.stringMatching(/broke off[^]*Go is not on the PATH/) as string, remedy: expect.stringContaining('TEMPORAL_ADDRESS') as string });
    expect(cacheEntries(env)).toEqual([]);
  });

  it('refuses an archive whose SHA-256 is not the pinned one', async () => {
    const site = await serve((_request, response) => void response.end(archive));
    const { result, env } = await resolveFrom(site, { sha256: { [platform]: '0'.repeat(64) }, limits });
    await expect(result).rejects.toThrow(/SHA-256 [0-9a-f]{64}, not the pinned 0{64}; it was not used/);
    expect(cacheEntries(env)).toEqual([]);
  });

  it('gives up on a site that is closed, that says no, or that never answers', async () => {
    const closed = await serve(() => undefined);
    await new Promise((done) => servers.pop()?.close(done));
    await expect((await resolveFrom(closed)).result).rejects.toThrow(/can't be reached: .*ECONNREFUSED/);

    const refusing = await serve((_request, response) => void response.writeHead(404).end());
    await expect((await resolveFrom(refusing)).result).rejects.toThrow(/answered 404/);

    const silent = await serve(() => undefined);
    await expect((await resolveFrom(silent, { ...release, limits: { ...limits, responseMs: 200 } })).result).rejects.toThrow(/no response within 0.2 s/);
  });
});
