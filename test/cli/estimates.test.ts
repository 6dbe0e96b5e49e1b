// A plan's numbers against ones worked by hand for the monosemantic preset (SPEC: 4e9 vectors of 512 in float16 = 4.1 TB).
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { lookAtCorpus, requireCorpus } from '../../cli/corpus.ts';
import { knownDevices, type Device } from '../../cli/devices.ts';
import { estimateSeconds, estimateStages, type StageEstimate } from '../../cli/estimates.ts';
import { estimateDisk } from '../../cli/diskEstimate.ts';
import { buildPlan, describePlan } from '../../cli/plan.ts';
import { createTokenizer } from '../../data/tokenizer.ts';
import { forwardFlopsPerToken, matmulParameters, samplingFlopsPerPrompt } from '../../model/flops.ts';
import { resolveInput } from '../../presets/resolve.ts';
import { architectureConfig, hookWidth, type PipelineConfig } from '../../schemas/config.ts';

// Nothing listens there: these tests are about a corpus that can't be seen, also where the hub can be.
process.env['HF_ENDPOINT'] = 'http://127.0.0.1:9';
const config = resolveInput('monosemantic');
const architecture = config.transformer.architecture;

async function monosemantic(): Promise<Record<string, StageEstimate>> {
  const { size } = await lookAtCorpus(config, tmpdir());
  return Object.fromEntries(estimateStages(config, size).map((stage) => [stage.stage, stage]));
}

describe('the monosemantic preset', () => {
  it('counts a corpus that is not there as OpenWebText', async () => {
    const { size, source } = await lookAtCorpus(config, tmpdir());
    expect(size.trainTokens).toBe(9_035_582_198);
    expect(size.heldOutTokens).toBe(4_434_897);
    expect(source).toContain('OpenWebText');
  });

  it('samples 4e9 vectors in 16,000 shards of 4.1 TB', async () => {
    const { sampleActivations } = await monosemantic();
    expect(sampleActivations!.amount).toBe(4e9);
    expect(sampleActivations!.pieces).toBe(16_000);
    // 512 components of 2 bytes, and 12 bytes of document, position and token.
    expect(sampleActivations!.bytes).toBe(4e9 * (1_024 + 12));
  });

  it('trains the SAE for 488,281 steps of five products', async () => {
    const { trainSae } = await monosemantic();
    expect(trainSae!.amount).toBe(488_281);
    expect(trainSae!.pieces).toBe(98);
    expect(trainSae!.flops).toBe(488_281 * 171_798_691_840);
    expect(trainSae!.trafficBytes).toBe(4.144e12);
  });

  it('trains the transformer on 98.3 B tokens at three forward passes each', async () => {
    // 4 · 128² + 2 · 128 · 512 + 50,304 · 128
    expect(matmulParameters(architecture, 50_257)).toBe(65_536 + 131_072 + 6_438_912);
    // and 2 · 2 · 512 · 128 for attention to half the context
    expect(forwardFlopsPerToken(architecture, 50_257)).toBe(13_271_040 + 262_144);
    const { trainTransformer, tokenize } = await monosemantic();
    expect(trainTransformer!.amount).toBe(98_304_000_000);
    expect(trainTransformer!.flops).toBe(13_533_184 * (3 * 98_304_000_000 + 100 * 2_400 * 1_024));
    expect(tokenize!.bytes).toBe(2 * 9_040_017_095);
  });

  it('prints them', async () => {
    const text = describePlan(buildPlan(config, await lookAtCorpus(config, tmpdir()), knownDevices(2), 1e12)).join('\n');
    expect(text).toMatch(/sampleActivations\s+16,000 shards\s+4\.00 G vectors\s+3\.18 PFLOP\s+4\.1 TB/);
    expect(text).toMatch(/trainTransformer\s+100 segments\s+98\.30 G tokens\s+3\.99 EFLOP/);
    expect(text).toMatch(/A100/);
    expect(text).toContain('NOT ENOUGH; set activations.retention=consume, or choose another store');
    // three groups of 64 shards of 1,250 · 200 vectors, 2 · 512 + 12 bytes each
    expect(text).toMatch(/retention=consume +68\.9 GB +49\.7 GB of activations \(192 of 16,000 shards × 250 k vectors × 1,036 B\) \+ 19\.2 GB of the rest/);
    expect(text).toMatch(/retention=keep +4\.2 TB +4\.1 TB of activations .*\(this run\)/);
  });

  it('keeps nothing of activations that are consumed, and makes them once an epoch', async () => {
    const consuming = (activations: object, sae: object = {}): PipelineConfig => ({ ...config, activations: { ...config.activations, retention: 'consume', ...activations }, saes: [{ ...config.saes[0]!, ...sae }] });
    const corpus = await lookAtCorpus(config, tmpdir());
    const { disk, stages, totals } = buildPlan(consuming({}, { epochs: 2 }), corpus, knownDevices(2), 1e12);
    const sampling = stages.find(({ stage }) => stage === 'sampleActivations')!;
    expect(sampling.bytes).toBe(0);
    expect(sampling.trafficBytes).toBe(2 * 4.144e12);
    expect(disk.peakBytes).toBe(totals.bytes + 192 * 250_000 * 1_036);
    // a window too small for a job: a batch lies in two groups
    expect(estimateDisk(consuming({ windowShards: 1 }), corpus.size).consume.bytes).toBe(128 * 250_000 * 1_036);
    // candidates of a resampling in two groups and a part of a third
    const { resampling } = config.saes[0]!;
    expect(estimateDisk(consuming({ windowShards: 1 }, { mixShards: 1, resampling: { ...resampling, candidates: 500_000 } }), corpus.size).consume.bytes).toBe(3 * 250_000 * 1_036);
  });
});

describe('samplingFlopsPerPrompt', () => {
  it('computes keys and values everywhere and the rest at kept positions', () => {
    // Keys and values: 1,024 · 2 · 2 · 128². Kept: query, attention, projection, MLP in.
    const kept = 2 * 128 ** 2 + 2 * 1_024 * 128 + 2 * 128 ** 2 + 2 * 128 * 512;
    expect(samplingFlopsPerPrompt(architecture, 'blocks.0.mlp.hook_post', 200)).toBe(1_024 * 65_536 + 200 * kept);
  });

  it('costs nothing before the first layer, and a whole layer more for each below', () => {
    const two = architectureConfig.parse({ nLayer: 2 });
    const wholeLayer = 1_024 * (2 * (4 * 128 ** 2 + 2 * 128 * 512) + 2 * 1_024 * 128);
    expect(samplingFlopsPerPrompt(two, 'blocks.0.hook_resid_pre', 200)).toBe(0);
    expect(samplingFlopsPerPrompt(two, 'blocks.1.hook_resid_pre', 200)).toBe(wholeLayer);
    expect(samplingFlopsPerPrompt(two, 'blocks.1.mlp.hook_post', 200) - samplingFlopsPerPrompt(two, 'blocks.0.mlp.hook_post', 200)).toBe(wholeLayer);
  });
});

describe('hookWidth', () => {
  it('is the MLP’s width inside it and the model’s elsewhere', () => {
    expect(hookWidth(architecture, 'blocks.0.mlp.hook_pre')).toBe(512);
    expect(hookWidth(architecture, 'blocks.0.mlp.hook_post')).toBe(512);
    expect(hookWidth(architecture, 'blocks.0.hook_mlp_out')).toBe(128);
    expect(hookWidth(architecture, 'blocks.0.attn.hook_z')).toBe(128);
  });
});

describe('estimateSeconds', () => {
  const device: Device = { name: 'test', transformerFlops: 100, saeFlops: 50, diskBytesPerSecond: 10, textBytesPerSecond: 5, reason: '' };
  const stage: StageEstimate = { stage: 'trainSae', label: '', pieces: 1, unit: 'segments', amount: 1, amountUnit: 'steps', flops: 1_000, bytes: 0, trafficBytes: 0, work: 'sae', textBytes: 0 };

  it('is the slower of arithmetic and disk', () => {
    expect(estimateSeconds(stage, device)).toBe(20);
    expect(estimateSeconds({ ...stage, work: 'transformer' }, device)).toBe(10);
    expect(estimateSeconds({ ...stage, trafficBytes: 500 }, device)).toBe(50);
    expect(estimateSeconds({ ...stage, work: 'text', textBytes: 100 }, device)).toBe(20);
  });

  it('scales this machine by its cores', () => {
    const [two] = knownDevices(2);
    const [eight] = knownDevices(8);
    expect(eight!.saeFlops).toBe(4 * two!.saeFlops);
  });
});

describe('a corpus on disk', () => {
  it('is counted by its own text, as the tokenizer will', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'saeflow-plan-'));
    try {
      const text = 'Sparse autoencoders find features that mean something. '.repeat(40);
      const lines = Array.from({ length: 50 }, (_, index) => JSON.stringify({ id: `d${index}`, text }));
      writeFileSync(join(folder, 'a.jsonl'), `${lines.join('\n')}\n`);
      const tiny = resolveInput({ preset: 'tiny', corpus: { paths: [join(folder, '*.jsonl')] } });
      const { size } = await lookAtCorpus(tiny, folder);
      const textTokens = 50 * (createTokenizer(512).encode(text).length + 1);
      // Bytes on disk include the JSON around the text.
      const share = (size.trainTokens + size.heldOutTokens) / textTokens;
      expect(share).toBeGreaterThan(1);
      expect(share).toBeLessThan(1.03);
      expect(size.heldOutTokens / textTokens).toBeCloseTo(0.1, 2);
      await expect(requireCorpus(tiny.corpus.paths, folder)).resolves.toBeUndefined();
      await expect(requireCorpus([folder], folder)).rejects.toThrow('is a directory');
      await expect(requireCorpus([join(folder, '*.txt')], folder)).rejects.toThrow('matches no file');
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
