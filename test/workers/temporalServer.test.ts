// The local Temporal server, on the real executable: start, attach, a kill -9, restart on the same database, taken ports.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { defineSearchAttributeKey } from '@temporalio/common';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { isAlive } from '../../setup/lock.ts';
import { resolveTemporal } from '../../setup/temporal.ts';
import { attachTemporalServer, startTemporalServer, type TemporalServer } from '../../workers/temporalServer.ts';

const folders: string[] = [];
const servers: TemporalServer[] = [];
const connections: Connection[] = [];
let executable: string;

function stateFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'saeflow-server-'));
  folders.push(folder);
  return folder;
}

async function start(stateDir: string, options: { port?: number; uiPort?: number } = {}): Promise<TemporalServer> {
  const server = await startTemporalServer({ executable, stateDir, ...options });
  servers.push(server);
  return server;
}

async function clientOf(server: TemporalServer): Promise<Client> {
  const connection = await Connection.connect({ address: server.address });
  connections.push(connection);
  return new Client({ connection });
}

async function occupyPort(): Promise<{ port: number; holder: Server }> {
  const holder = createServer();
  await new Promise<void>((done) => void holder.listen(0, '127.0.0.1', done));
  return { port: (holder.address() as AddressInfo).port, holder };
}

beforeAll(async () => {
  // These tests start servers of their own, whatever server the developer's profile names.
  const noProfiles = join(stateFolder(), 'temporal.toml');
  writeFileSync(noProfiles, '[profile.other]\n');
  const temporal = await resolveTemporal({ ...process.env, TEMPORAL_ADDRESS: '', TEMPORAL_PROFILE: '', TEMPORAL_CONFIG_FILE: noProfiles });
  if (temporal.kind !== 'executable') throw new Error(`resolveTemporal found the address ${temporal.address}`);
  executable = temporal.path;
}, 600_000);

afterEach(async () => {
  for (const connection of connections.splice(0)) await connection.close();
  for (const server of servers.splice(0)) await server.stop();
});

afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

describe('startTemporalServer', () => {
  it('starts with search attributes that can be set at once, serves the UI, and leaves nothing running after stop', async () => {
    const stateDir = stateFolder();
    const server = await start(stateDir);
    const client = await clientOf(server);
    await client.workflow.start('anything', {
      taskQueue: 'nobody-listens',
      workflowId: 'w1',
      typedSearchAttributes: [
        { key: defineSearchAttributeKey('SaeflowStage', 'KEYWORD'), value: 'tokenize' },
        { key: defineSearchAttributeKey('SaeflowFailedShards', 'INT'), value: 3 },
      ],
    });
    const page = await fetch(server.uiUrl);
    expect(page.status).toBe(200);
    expect(await page.text()).toContain('<html');
    expect(JSON.parse(readFileSync(join(stateDir, 'server.json'), 'utf8'))).toMatchObject({ pid: server.pid, address: server.address, uiUrl: server.uiUrl });

    await server.stop();
    expect(isAlive(server.pid)).toBe(false);
    expect(await attachTemporalServer(stateDir)).toBeUndefined();
  });

  it('attaches to the running server instead of opening its database twice, also when two start at once', async () => {
    const stateDir = stateFolder();
    const [first, second] = await Promise.all([start(stateDir), start(stateDir)]);
    const third = await start(stateDir);
    expect(new Set([first.pid, second.pid, third.pid]).size).toBe(1);
    expect([first.attached, second.attached].sort()).toEqual([false, true]);
    expect(third.attached).toBe(true);
  });

  it('keeps workflows over a kill -9 and a restart on the same database', async () => {
    const stateDir = stateFolder();
    const killed = await start(stateDir);
    const stage = defineSearchAttributeKey('SaeflowStage', 'KEYWORD');
    const before = await (await clientOf(killed)).workflow.start('anything', {
      taskQueue: 'nobody-listens',
      workflowId: 'survivor',
      args: [{ answer: 42 }],
      typedSearchAttributes: [{ key: stage, value: 'trainSae' }],
    });
    process.kill(killed.pid, 'SIGKILL');

    const restarted = await start(stateDir);
    expect(restarted.attached).toBe(false);
    expect(restarted.pid).not.toBe(killed.pid);
    const description = await (await clientOf(restarted)).workflow.getHandle('survivor').describe();
    expect(description.runId).toBe(before.firstExecutionRunId);
    expect(description.status.name).toBe('RUNNING');
    expect(description.typedSearchAttributes.get(stage)).toBe('trainSae');
  });

  it('refuses a port that was asked for and is taken, naming it', async () => {
    const { port, holder } = await occupyPort();
    try {
      await expect(start(stateFolder(), { port })).rejects.toMatchObject({ name: 'UserError', message: expect.stringContaining(`Port ${port}`) as string });
      await expect(start(stateFolder(), { uiPort: port })).rejects.toMatchObject({ message: expect.stringContaining('UI') as string });
    } finally {
      holder.close();
    }
  });

  it('runs beside another server by choosing free ports', async () => {
    const [one, other] = [await start(stateFolder()), await start(stateFolder())];
    expect(other.address).not.toBe(one.address);
    expect(other.uiUrl).not.toBe(one.uiUrl);
  });

  it('says so, with the path of the log, when the executable is not a Temporal server', async () => {
    const stateDir = stateFolder();
    const attempt = startTemporalServer({ executable: process.execPath, stateDir });
    await expect(attempt).rejects.toMatchObject({ name: 'UserError', remedy: expect.stringContaining(join(stateDir, 'logs', 'temporal.log')) as string });
    await expect(startTemporalServer({ executable: join(stateDir, 'nothing-here'), stateDir })).rejects.toThrow('could not be started');
  });
});
