// `saeflow label` as a person runs it: it says whom texts go to, its worker is killed midway by SIGKILL, and it ends with
// labels, having asked nothing twice and written the key nowhere.
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import { openStore } from '../../data/artifactStore.ts';
import { readLabels } from '../../data/labels.ts';
import { startChatServer, type ChatServer } from '../activities/chatServer.ts';
import { runCli } from '../cli/runCli.ts';
import { dashboardKey, putSite } from '../data/exchangeSite.ts';

const folder = mkdtempSync(join(tmpdir(), 'saeflow-label-'));
const store = openStore(join(folder, 'store'));
let chat: ChatServer;

beforeAll(async () => {
  await putSite(store);
  chat = await startChatServer('line breaks', (token) => token.includes('\n'));
});
afterAll(async () => {
  await chat?.close();
  rmSync(folder, { recursive: true, force: true });
});

it('a killed worker’s answers are kept: nothing is asked twice, and the key is written nowhere', async () => {
  const killed: number[] = [];
  chat.onRequest = (count) => {
    if (count !== 12) return;
    const { pid } = z.object({ pid: z.int().positive() }).parse(JSON.parse(readFileSync(join(folder, '.saeflow', 'worker.json'), 'utf8')));
    process.kill(pid, 'SIGKILL');
    killed.push(pid);
  };
  const args = ['label', '--store', store.uri, '--endpoint', chat.endpoint, '--model', 'm', '--features', '4', '--rpm', '6000'];
  const { exitCode, stdout, stderr } = await runCli(folder, args, { SAEFLOW_LABELS_API_KEY: 'sk-secret-of-mine', OPENAI_API_KEY: '' });
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: expect.not.stringContaining('Error') as string });
  expect(killed).toHaveLength(1);
  expect(stdout.split('\n')[0]).toBe(`example texts of the corpus are sent to ${new URL(chat.endpoint).host} (model m)`);
  expect(stdout).toContain('4 labelled, 0 without a label');
  expect((await readLabels(store, dashboardKey))!.labels).toHaveLength(4);
  expect(new Set(chat.headers.map(({ authorization }) => authorization))).toEqual(new Set(['Bearer sk-secret-of-mine']));

  // Answers under way when the worker died, one of each of four features, are not known to it: only those may come again.
  const counts = new Map<string, number>();
  for (const body of chat.asked) counts.set(body, (counts.get(body) ?? 0) + 1);
  const again = [...counts.entries()].filter(([, count]) => count > 1).map(([body]) => body);
  const answered = new Set(chat.asked.slice(0, 12 - 8));
  expect(again.filter((body) => answered.has(body))).toEqual([]);
  expect(chat.asked.length - counts.size).toBeLessThanOrEqual(8);

  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  expect(files.some(({ name }) => name === 'temporal.db')).toBe(true);
  for (const entry of files) expect(readFileSync(join(entry.parentPath, entry.name)).includes('sk-secret'), entry.name).toBe(false);

  chat.onRequest = undefined;
  const before = chat.asked.length;
  expect((await runCli(folder, [...args, '--again'], {})).stdout).toContain('4 labelled');
  expect(chat.asked).toHaveLength(before);
}, 480_000);
