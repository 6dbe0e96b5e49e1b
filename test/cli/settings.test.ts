// --set and --config: what a person types becomes a checked configuration, and what is wrong is named.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { resolveConfig } from '../../cli/input.ts';
import { applySettings, parseSetting } from '../../cli/settings.ts';
import { configHash } from '../../data/configHash.ts';
import { resolveInput } from '../../presets/resolve.ts';
import { UserError } from '../../schemas/errors.ts';

let folder: string;
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'saeflow-settings-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function written(name: string, content: string | Buffer): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

describe('parseSetting', () => {
  it('reads numbers, booleans, null and lists as JSON, and the rest as text', () => {
    expect(parseSetting('saes.0.l1Coefficient=0.002')).toEqual({ path: ['saes', '0', 'l1Coefficient'], value: 0.002 });
    expect(parseSetting('transformer.architecture.bias=true').value).toBe(true);
    expect(parseSetting('activations.prompts=null').value).toBeNull();
    expect(parseSetting('saes.0.resampling.steps=[10, 20]').value).toEqual([10, 20]);
    expect(parseSetting('transformer.architecture.activation=relu').value).toBe('relu');
    expect(parseSetting('corpus.textField=a=b').value).toBe('a=b');
  });

  it.each(['seed', '=2', 'saes..features=2', '.seed=2'])('refuses %s with an example of the form', (text) => {
    expect(() => parseSetting(text)).toThrow(UserError);
    expect(() => parseSetting(text)).toThrow(`--set ${text}`);
  });
});

describe('applySettings', () => {
  it('changes the field and nothing else, and not the object given', () => {
    const config = { a: { b: 1, c: 2 }, list: [{ x: 1 }, { x: 2 }] };
    expect(applySettings(config, [parseSetting('a.b=5'), parseSetting('list.1.x=7')])).toEqual({ a: { b: 5, c: 2 }, list: [{ x: 1 }, { x: 7 }] });
    expect(config).toEqual({ a: { b: 1, c: 2 }, list: [{ x: 1 }, { x: 2 }] });
  });

  it('adds an entry one past a list’s end, and refuses one further', () => {
    expect(applySettings({ list: [1] }, [parseSetting('list.1=2')])).toEqual({ list: [1, 2] });
    expect(() => applySettings({ list: [1] }, [parseSetting('list.2=2')])).toThrow('--set list.2');
    expect(() => applySettings({ list: [1] }, [parseSetting('list.first=2')])).toThrow('--set list.first');
  });

  it('refuses a path through a number', () => {
    expect(() => applySettings({ seed: 1 }, [parseSetting('seed.x=2')])).toThrow('seed is 1, which has no fields');
  });

  it('does not touch prototypes', () => {
    expect(() => applySettings({}, [parseSetting('__proto__.polluted=1')])).toThrow(UserError);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });
});

describe('resolveConfig', () => {
  it('is the preset itself when nothing else is said', () => {
    expect(resolveConfig({ preset: 'tiny' })).toEqual(resolveInput('tiny'));
  });

  it('lets --set win over the file, and the file over the preset', () => {
    const config = written('mine.json', JSON.stringify({ preset: 'tiny', seed: 5, saes: [{ features: 128, l1Coefficient: 0.5 }] }));
    const resolved = resolveConfig({ config, set: ['saes.0.l1Coefficient=0.25'] });
    expect(resolved).toEqual(resolveInput({ preset: 'tiny', seed: 5, saes: [{ features: 128, l1Coefficient: 0.25 }] }));
  });

  it('gives a second SAE the first one’s settings as its defaults', () => {
    const { saes } = resolveConfig({ preset: 'tiny', set: ['saes.1.name=wide', 'saes.1.features=96'] });
    expect(saes.map(({ name, features, batchSize }) => [name, features, batchSize])).toEqual([['sae', 64, 128], ['wide', 96, 128]]);
  });

  it('makes corpus paths of the command line absolute, and leaves demo: alone', () => {
    expect(resolveConfig({ preset: 'tiny', corpus: ['texts/*.txt', '/data/b.jsonl', 'demo:'] }, { cwd: '/home/me' }).corpus.paths).toEqual(['/home/me/texts/*.txt', '/data/b.jsonl', 'demo:']);
  });

  it('puts the priority among the execution settings, where it changes no key', () => {
    expect(resolveConfig({ preset: 'tiny', priority: 1 })).toEqual(resolveInput({ preset: 'tiny', execution: { priority: 1 } }));
    expect(configHash(resolveConfig({ preset: 'tiny', priority: 1 }))).toBe(configHash(resolveInput('tiny')));
  });

  it('ends an attended run at a shard that fails, unless the options decide otherwise', () => {
    expect(resolveConfig({ preset: 'tiny' }, { attended: true }).execution.onShardFailure).toBe('fail');
    expect(resolveConfig({ preset: 'tiny' }).execution.onShardFailure).toBe('park');
    expect(resolveConfig({ preset: 'tiny', set: ['execution.onShardFailure=skip'] }, { attended: true }).execution.onShardFailure).toBe('skip');
    const config = written('park.json', '{"preset": "tiny", "execution": {"onShardFailure": "park"}}');
    expect(resolveConfig({ config }, { attended: true }).execution.onShardFailure).toBe('park');
  });

  it('reads a list of probes from a file, whose content then decides the key', () => {
    const probes = [{ name: 'cats', description: 'The word.', where: [{ kind: 'text', strings: ['cat'] }] }];
    const file = written('probes.json', JSON.stringify(probes));
    const inline = resolveInput({ preset: 'tiny', dashboard: { probes } });
    expect(resolveConfig({ preset: 'tiny', set: [`dashboard.probes=${file}`] })).toEqual(inline);
    expect(resolveConfig({ config: written('with-probes.json', JSON.stringify({ preset: 'tiny', dashboard: { probes: 'probes.json' } })) }, { cwd: folder })).toEqual(inline);
    expect(() => resolveConfig({ preset: 'tiny', set: [`dashboard.probes=${written('bad.json', '[')}`] })).toThrow(/bad\.json: not JSON/);
    expect(() => resolveConfig({ preset: 'tiny', set: ['dashboard.probes=missing.json'] }, { cwd: folder })).toThrow(/dashboard\.probes missing\.json: ENOENT/);
    expect(() => resolveInput({ preset: 'tiny', dashboard: { probes: 'probes.json' } })).toThrow(/dashboard\.probes: a file of probes is read by saeflow run/);
    const wrong = JSON.stringify([{ name: 'x', where: [{ kind: 'pattern', pattern: '(' }] }]);
    expect(() => resolveConfig({ preset: 'tiny', set: [`dashboard.probes=${wrong}`] })).toThrow(/dashboard\.probes\.0\.where\.0\.pattern: not a regular expression/);
  });

  it('names all wrong fields at once', () => {
    const wrong = () => resolveConfig({ preset: 'tiny', set: ['seed=abc', 'transformer.colour=1', 'transformer.architecture.nHead=3'] });
    expect(wrong).toThrow(/3 fields are wrong/);
    expect(wrong).toThrow(/seed: .*"abc"/);
    expect(wrong).toThrow(/transformer\.colour: no such field/);
    expect(wrong).toThrow(/transformer\.architecture\.nHead: dModel 32 is not divisible by nHead 3/);
  });

  it('names a configuration file that is missing, not JSON, not UTF-8 or not an object', () => {
    expect(() => resolveConfig({ config: join(folder, 'none.json') })).toThrow('none.json');
    expect(() => resolveConfig({ config: written('bad.json', '{"seed": }') })).toThrow(/bad\.json: not JSON/);
    expect(() => resolveConfig({ config: written('latin1.json', Buffer.from([0x22, 0xe4, 0x22])) })).toThrow(/latin1\.json: not UTF-8/);
    expect(() => resolveConfig({ config: written('list.json', '[1]') })).toThrow(/list\.json: holds a list/);
  });
});
