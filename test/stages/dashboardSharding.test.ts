// The dashboard's data does not depend on how held-out tokens and features were dealt out: other shards of whole batches,
// give the very same files, and other blocks of features the same but for last digits of ablation effects, whose batches
// are put together by block. And what pages, index and probes say agrees.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { artifactPath, readManifest } from '../../data/artifact.ts';
import { featureChunk, featureIndex, probesPage, type FeatureIndex, type FeaturePage, type ProbesPage } from '../../schemas/dashboard.ts';
import { dashboardConfig, type DashboardConfig } from '../../schemas/config.ts';
import { runStage } from '../../stages/inProcess.ts';
import { TinyInputs } from './tinyInputs.ts';

let inputs: TinyInputs;
let trainSae: string;
const probes: DashboardConfig['probes'] = dashboardConfig.parse({
  probes: [
    { name: 'e', description: 'Tokens with an e.', where: [{ kind: 'tokenPattern', pattern: 'e' }] },
    { name: 'after a space', where: [{ kind: 'pattern', pattern: '(?<=\\s)\\p{L}+' }] },
    { name: 'nowhere', where: [{ kind: 'text', strings: ['a string that no text of the corpus has'] }] },
  ],
}).probes;

beforeAll(async () => {
  inputs = await TinyInputs.make();
  trainSae = (await runStage(inputs.store, inputs.sae({}))).artifact.key;
});
afterAll(() => inputs.remove());

/** Path → text of all files under site/. */
async function site(change: Partial<DashboardConfig>): Promise<Map<string, string>> {
  const dashboard = { ...inputs.config.dashboard, probes, tokens: 4_096, topExamples: 3, intervals: 2, examplesPerInterval: 1, correlationTokens: 2_048, ablationFirings: 10, ...change };
  const { artifact } = await runStage(inputs.store, { stage: 'exportDashboard', config: { dashboard }, inputs: { ...inputs.keys, trainSae } });
  const { files } = (await readManifest(inputs.store, artifact))!;
  const read = async (path: string) => [path, Buffer.from(await inputs.store.get(artifactPath(artifact, path))).toString()] as const;
  return new Map(await Promise.all(files.map(({ path }) => read(path))));
}

it.each([{ windowsPerShard: 8 }, { windowsPerShard: 72 }, { windowsPerShard: 1_024 }])('with %j every file is the same', async (change) => {
  const usual = await site({});
  const other = await site(change);
  expect([...other.keys()].sort()).toEqual([...usual.keys()].sort());
  for (const [path, text] of usual) expect(other.get(path) === text, path).toBe(true);
});

it('with other blocks of features every number is the same within a ten-thousandth', async () => {
  const usual = await site({});
  const other = await site({ featuresPerBlock: 24, windowsPerShard: 16 });
  expect([...other.keys()].sort()).toEqual([...usual.keys()].sort());
  // The packed columns are the index again, and the model's files are no results of blocks.
  for (const [path, text] of [...usual].filter(([name]) => name.endsWith('.json'))) expectNear(JSON.parse(other.get(path)!), JSON.parse(text), path);
});

function expectNear(found: unknown, expected: unknown, where: string): void {
  if (typeof expected === 'number') expect(Math.abs((found as number) - expected), `${where}: ${String(found)} for ${expected}`).toBeLessThanOrEqual(1e-4 * Math.max(0.2, Math.abs(expected)));
  else if (typeof expected !== 'object' || expected === null) expect(found, where).toBe(expected);
  else {
    expect(Object.keys(found as object), where).toEqual(Object.keys(expected));
    for (const [name, value] of Object.entries(expected)) expectNear((found as Record<string, unknown>)[name], value, `${where}.${name}`);
  }
}

describe('the files', () => {
  let pages: FeaturePage[];
  let index: FeatureIndex;
  let answered: ProbesPage;
  beforeAll(async () => {
    // all there are: five documents of each half at least
    const files = await site({ tokens: null });
    const json = (path: string): unknown => JSON.parse(files.get(path)!);
    pages = [...files.keys()].filter((path) => path.includes('/features/')).sort().flatMap((path) => featureChunk.parse(json(path)));
    index = featureIndex.parse(json('site/data/index.json'));
    answered = probesPage.parse(json('site/data/probes.json'));
  });

  it('have effects on the token after each that fired, and on no other', () => {
    let shown = 0;
    for (const { tokens, activations, effects } of pages.flatMap(({ top, intervals }) => [...top, ...intervals.flatMap(({ examples }) => examples)])) {
      expect(effects).toHaveLength(tokens.length);
      effects.forEach((effect, at) => {
        if (at > 0 && activations[at - 1] === 0) expect(effect).toBe(0);
        if (effect !== 0) shown++;
      });
    }
    expect(shown).toBeGreaterThan(50);
  });

  it('have as index what the pages say of ablation, and shares whose magnitudes add up to 1', () => {
    expect(index.ablation).toEqual(pages.map(({ ablation }) => ablation.meanMagnitude));
    expect(index.lossShare.reduce((sum, share) => sum + Math.abs(share), 0)).toBeCloseTo(1, 2);
    expect(index.lossShare.map(Math.sign)).toEqual(pages.map(({ ablation, count }) => Math.sign(ablation.mean * count)));
  });

  it('have correlations that are symmetric between features, and neurons that add up to less than the whole', () => {
    const of = (feature: number, other: number) => pages[feature]!.correlatedFeatures.find((found) => found.feature === other)?.pearson;
    let both = 0;
    for (const { feature, correlatedFeatures, neurons, correlatedNeurons, count } of pages) {
      for (const { feature: other, pearson } of correlatedFeatures) {
        const back = of(other, feature);
        if (back === undefined) continue;
        expect(back).toBe(pearson);
        both++;
      }
      expect(neurons.reduce((sum, { share }) => sum + share, 0)).toBeLessThan(1);
      expect(correlatedNeurons).toHaveLength(count === 0 ? 0 : 5);
    }
    expect(both).toBeGreaterThan(4);
  });

  it('have answers with support, and say where there is none', () => {
    const [letter, , nowhere] = answered;
    expect(letter).toMatchObject({ name: 'e', enough: true });
    expect(letter!.support.chosenOn).toBeGreaterThan(50);
    expect(letter!.answers).toHaveLength(5);
    for (const { f1, precision, recall } of letter!.answers) expect(f1).toBeCloseTo((2 * precision * recall) / (precision + recall), 3);
    expect(nowhere).toEqual({ name: 'nowhere', description: '', support: { chosenOn: 0, judgedOn: 0 }, enough: false, answers: [] });
    const best = letter!.answers[0]!;
    expect(index.probeF1[best.feature]).toBeGreaterThanOrEqual(best.f1);
    index.probe.forEach((probe, feature) => expect(probe === -1, `${feature}`).toBe(index.probeF1[feature] === 0));
  });
});
