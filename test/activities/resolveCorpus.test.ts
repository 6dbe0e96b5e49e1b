// What a scheduled run finds when it looks again: the same corpus as long as the content is the same, another one as soon
// as a file was added, changed or taken away, or a dataset's branch has moved on to other content.
import { mkdirSync, mkdtempSync, rmSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { resolveCorpus } from '../../activities/resolveCorpus.ts';
import { openStore } from '../../data/artifactStore.ts';
import { corpusConfig } from '../../schemas/config.ts';
import { commitName, startHubServer } from '../data/hubServer.ts';

const scratch = mkdtempSync(join(tmpdir(), 'saeflow-resolve-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const store = openStore(join(scratch, 'store'));
const keyOf = async (path: string) => (await resolveCorpus({ store, cwd: scratch }, corpusConfig.parse({ paths: [path] }))).key;
const line = (text: string) => `${JSON.stringify({ text })}\n`;

describe('resolveCorpus, asked again', () => {
  it('of a pattern sees a new, a changed and a missing file, and no difference in anything else', async () => {
    const texts = join(scratch, 'texts');
    mkdirSync(texts);
    const [one, two] = [join(texts, 'one.jsonl'), join(texts, 'two.jsonl')];
    writeFileSync(one, line('a text'));
    const first = await keyOf('texts/*.jsonl');
    utimesSync(one, new Date(), new Date(0));
    writeFileSync(join(texts, 'notes.md'), 'no text of the pattern');
    expect(await keyOf('texts/*.jsonl')).toBe(first);
    writeFileSync(two, line('another'));
    const second = await keyOf('texts/*.jsonl');
    expect(second).not.toBe(first);
    writeFileSync(two, line('amother'));
    expect([first, second]).not.toContain(await keyOf('texts/*.jsonl'));
    unlinkSync(two);
    expect(await keyOf('texts/*.jsonl')).toBe(first);
  });

  it('of a dataset follows its branch, and what it holds decides, not the commit', async () => {
    const hub = await startHubServer();
    const before = { ...process.env };
    Object.assign(process.env, { HF_ENDPOINT: hub.endpoint, HF_HOME: '/nonexistent', SAEFLOW_CACHE_DIR: join(scratch, 'cache') });
    try {
      const [first, same, other] = [commitName('first'), commitName('same'), commitName('other')];
      const text = Buffer.from(line('a text'));
      hub.datasets = { 'owner/set': { refs: { main: first }, commits: { [first]: { 'a.jsonl': text }, [same]: { 'a.jsonl': text, 'README.md': Buffer.from('# set') }, [other]: { 'a.jsonl': text, 'b.jsonl': Buffer.from(line('another')) } } } };
      const pattern = 'hf://datasets/owner/set/*.jsonl';
      const key = await keyOf(pattern);
      expect(await keyOf(pattern)).toBe(key);
      hub.datasets['owner/set']!.refs['main'] = same;
      expect(await keyOf(pattern)).toBe(key);
      hub.datasets['owner/set']!.refs['main'] = other;
      expect(await keyOf(pattern)).not.toBe(key);
      expect(await keyOf(`hf://datasets/owner/set@${first}/*.jsonl`)).toBe(key);
    } finally {
      process.env = before;
      await hub.stop();
    }
  });
});
