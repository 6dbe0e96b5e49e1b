// The demo corpus, really made from npm's packages (about 23 MB, kept in the cache), and npm's failures.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildDemoCorpus, DEMO_CORPUS_SHA256 } from '../../data/demoCorpus.ts';
import { demoByteCaps, demoSources } from '../../data/demoSources.ts';
import { fetchNpmTarballs, unpackNpmTarball } from '../../data/npmTarballs.ts';
import { corpusFolder } from './corpusFixtures.ts';

describe('the corpus', () => {
  const outFile = path.join(corpusFolder({}), 'demo.jsonl');
  let corpus: Awaited<ReturnType<typeof buildDemoCorpus>>;
  beforeAll(async () => {
    corpus = await buildDemoCorpus({ outFile });
  });

  it('has the pinned bytes', () => {
    expect(createHash('sha256').update(readFileSync(outFile)).digest('hex')).toBe(DEMO_CORPUS_SHA256);
    expect(corpus).toMatchObject({ file: outFile, sha256: DEMO_CORPUS_SHA256, bytes: statSync(outFile).size });
  });

  it('is 10 to 14 MB of text, with enough of each language that a feature may be its own', () => {
    const bytes = Object.values(corpus.byLang).reduce((total, lang) => total + lang.bytes, 0);
    expect(bytes).toBeGreaterThan(10e6);
    expect(bytes).toBeLessThan(14e6);
    expect(corpus.byLang['de']?.bytes).toBeGreaterThan(1e6);
    for (const lang of ['fr', 'es', 'ru', 'ja', 'zh']) expect(corpus.byLang[lang]?.bytes, lang).toBeGreaterThan(700e3);
    expect(corpus.byLang['en']?.bytes).toBeGreaterThan(2.5e6);
    expect(corpus.byLang['code']?.bytes).toBeGreaterThan(1.8e6);
    for (const lang of ['sv', 'da', 'he', 'ko', 'it']) expect(corpus.byLang[lang]?.bytes, lang).toBeGreaterThan(100e3);
  });

  it('has documents of 1 to 7 kB with ids of their own, each in the script of its language', () => {
    const scripts: Record<string, RegExp> = { ru: /[а-яё]/giu, ja: /[\u3040-\u30ff\u4e00-\u9fff]/gu, zh: /[\u4e00-\u9fff]/gu, he: /[א-ת]/gu, de: /[a-zäöüß]/giu };
    const ids = new Set<string>();
    for (const line of readFileSync(outFile, 'utf8').trimEnd().split('\n')) {
      const { id, text, lang, source } = JSON.parse(line) as Record<'id' | 'text' | 'lang' | 'source', string>;
      ids.add(id);
      expect(source).not.toBe('');
      expect(Buffer.byteLength(text)).toBeGreaterThanOrEqual(1_000);
      expect(Buffer.byteLength(text)).toBeLessThanOrEqual(7_000);
      const script = scripts[lang];
      if (script !== undefined) expect((text.match(script)?.length ?? 0) / text.replace(/\s/g, '').length, id).toBeGreaterThan(0.25);
    }
    expect(ids.size).toBe(corpus.documents);
  });

  it('is mixed: every tenth of it has every large language', () => {
    const langs = readFileSync(outFile, 'utf8').trimEnd().split('\n').map((line) => (JSON.parse(line) as { lang: string }).lang);
    const tenth = Math.floor(langs.length / 10);
    for (let part = 0; part < 10; part++) {
      const here = langs.slice(part * tenth, (part + 1) * tenth);
      for (const lang of ['en', 'de', 'fr', 'es', 'ru', 'ja', 'zh', 'code']) expect(here.filter((other) => other === lang).length, `${lang} in tenth ${part}`).toBeGreaterThan(5);
    }
  });

  it('is found, not made again; and made again if its file was damaged', async () => {
    const early = new Date(2001, 0, 1);
    utimesSync(outFile, early, early);
    expect(await buildDemoCorpus({ outFile })).toEqual(corpus);
    expect(statSync(outFile).mtime).toEqual(early);
    writeFileSync(outFile, 'damaged');
    expect(await buildDemoCorpus({ outFile })).toEqual(corpus);
  }, 180_000);

  it('names every source with its licence in docs/demo-corpus.md', () => {
    const doc = readFileSync(new URL('../../docs/demo-corpus.md', import.meta.url), 'utf8');
    for (const { name, version, license } of Object.values(demoSources)) {
      expect(doc).toContain(`${name.replace(/-(de|fr|es|ru|ja|zh-hans)$/, '-*')}`);
      expect(doc).toContain(version);
      expect(doc).toContain(license);
    }
    expect(Object.values(demoByteCaps).every((cap) => cap > 0)).toBe(true);
  });
});

describe('npm packages', () => {
  const registry = new FakeRegistryPackage('saeflow-test-texts', '1.2.3', { 'a.txt': 'hello' });
  const quiet = () => undefined;
  beforeAll(() => registry.listen());
  afterAll(() => registry.close());

  it('are fetched once, checked, kept and unpacked', async () => {
    const cache = corpusFolder({});
    const messages: string[] = [];
    const fetchIt = () => fetchNpmTarballs([registry.tarball], cache, (message) => messages.push(message));
    const [file] = await fetchIt();
    expect(await fetchIt()).toEqual([file]);
    expect(messages).toEqual(['fetching 1 npm packages: saeflow-test-texts@1.2.3']);
    const folder = path.join(cache, 'unpacked');
    await unpackNpmTarball(file as string, folder);
    expect(readFileSync(path.join(folder, 'a.txt'), 'utf8')).toBe('hello');
  });

  it('that are damaged in the cache are fetched again', async () => {
    const cache = corpusFolder({ 'saeflow-test-texts-1.2.3.tgz': 'cut short' });
    const [file] = await fetchNpmTarballs([registry.tarball], cache, quiet);
    expect(readFileSync(file as string)).toEqual(registry.bytes);
  });

  it('that are not the pinned ones are refused and not kept', async () => {
    const cache = corpusFolder({});
    const other = { ...registry.tarball, integrity: 'sha512-other' };
    await expect(fetchNpmTarballs([other], cache, quiet)).rejects.toThrow(/saeflow-test-texts@1\.2\.3 is not the pinned package: sha512-.* instead of sha512-other/);
    await expect(fetchNpmTarballs([registry.tarball], cache, (message) => expect(message).toContain('fetching'))).resolves.toHaveLength(1);
  });

  it('that the registry does not have are named, with npm’s words', async () => {
    const missing = { name: 'saeflow-no-such-package', version: '9.9.9', integrity: 'sha512-x' };
    await expect(fetchNpmTarballs([missing], corpusFolder({}), quiet)).rejects.toThrow(/npm could not fetch saeflow-no-such-package@9\.9\.9: /);
  });

  it('that are no archive can’t be unpacked, and the file is named', async () => {
    const folder = corpusFolder({ 'x.tgz': 'no archive' });
    await expect(unpackNpmTarball(path.join(folder, 'x.tgz'), path.join(folder, 'out'))).rejects.toThrow(/x\.tgz can't be unpacked/);
  });
});

/** A registry on this machine that serves one package to the real npm. */
class FakeRegistryPackage {
  readonly bytes: Buffer;
  readonly tarball: { name: string; version: string; integrity: string };
  private readonly server: Server;
  private readonly before: Record<string, string | undefined> = {};

  constructor(name: string, version: string, files: Record<string, string>) {
    const folder = corpusFolder({ 'package/package.json': JSON.stringify({ name, version }) });
    mkdirSync(path.join(folder, 'package'), { recursive: true });
    for (const [file, content] of Object.entries(files)) writeFileSync(path.join(folder, 'package', file), content);
    execFileSync('tar', ['-czf', 'it.tgz', 'package'], { cwd: folder });
    this.bytes = readFileSync(path.join(folder, 'it.tgz'));
    const integrity = `sha512-${createHash('sha512').update(this.bytes).digest('base64')}`;
    this.tarball = { name, version, integrity };
    this.server = createServer((request, response) => {
      const { port } = this.server.address() as AddressInfo;
      if (request.url === `/${name}`) {
        const dist = { tarball: `http://127.0.0.1:${port}/it.tgz`, integrity };
        response.setHeader('content-type', 'application/json');
        response.end(JSON.stringify({ name, 'dist-tags': { latest: version }, versions: { [version]: { name, version, dist } } }));
      } else if (request.url === '/it.tgz') response.end(this.bytes);
      else response.writeHead(404).end('{}');
    });
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    this.set('npm_config_registry', `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/`);
    this.set('npm_config_cache', corpusFolder({}));
    this.set('npm_config_fetch_retries', '0');
  }

  close(): void {
    for (const [name, value] of Object.entries(this.before)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
    this.server.close();
  }

  private set(name: string, value: string): void {
    this.before[name] = process.env[name];
    process.env[name] = value;
  }
}
