// What a person may type as a configuration, and what is said when it is wrong.
import { describe, expect, it } from 'vitest';
import { presets } from '../../presets/presets.ts';
import { resolveInput } from '../../presets/resolve.ts';
import type { UserError } from '../../schemas/errors.ts';

function refusal(input: unknown): UserError {
  try {
    resolveInput(input);
  } catch (error) {
    return error as UserError;
  }
  throw new Error('the input was accepted');
}

describe('resolveInput', () => {
  it.each(Object.keys(presets))('resolves the preset %s, and its result again to itself', (name) => {
    const config = resolveInput(name);
    expect(config.name).toBe(name);
    expect(resolveInput(config)).toEqual(config);
  });

  it.each([[undefined], [null], [{}], ['demo'], [{ preset: 'demo' }]])('takes %j as the demo', (input) => {
    expect(resolveInput(input)).toEqual(resolveInput('demo'));
  });

  it('merges overrides field by field, replaces lists, and leaves the preset as it was', () => {
    const config = resolveInput({ preset: 'tiny', seed: 5, transformer: { training: { steps: 99 } }, corpus: { paths: ['a.txt', 'b.txt'] } });
    expect(config.seed).toBe(5);
    expect(config.transformer.training).toEqual({ ...resolveInput('tiny').transformer.training, steps: 99 });
    expect(config.corpus.paths).toEqual(['a.txt', 'b.txt']);
    expect(resolveInput('tiny').transformer.training.steps).not.toBe(99);
  });

  it('merges each SAE of a sweep onto the one of the preset', () => {
    const { saes } = resolveInput({ preset: 'tiny', saes: [{ features: 128 }, { name: 'wide', features: 256 }] });
    const [own] = resolveInput('tiny').saes;
    expect(saes).toEqual([{ ...own, features: 128 }, { ...own, name: 'wide', features: 256 }]);
  });

  it('names every wrong field with its value, unknown ones too, in one error', () => {
    const { name, message } = refusal({ preset: 'tiny', sead: 1, tokenize: { vocabSize: 12 }, saes: [{ hook: 'blocks.0.mlp' }, { learningRate: 'fast' }] });
    expect(name).toBe('UserError');
    expect(message.split('\n')[0]).toBe('4 fields are wrong in the configuration:');
    expect(message).toContain('sead: no such field (got 1)');
    expect(message).toContain('tokenize.vocabSize: Too small: expected number to be >=257 (got 12)');
    expect(message).toMatch(/saes\.0\.hook: not a hook point: .* \(got "blocks\.0\.mlp"\)/);
    expect(message).toContain('saes.1.learningRate: Invalid input: expected number, received string (got "fast")');
  });

  it('names the presets there are when one is unknown, and shows what it wants when it got no object', () => {
    expect(refusal('huge')).toMatchObject({ message: "preset: no preset is called \"huge\"", remedy: 'Use one of: tiny, demo, small, monosemantic.' });
    expect(refusal(17)).toMatchObject({ message: 'the configuration is 17' });
    expect(refusal(['demo']).remedy).toContain('{"preset": "demo"');
  });
});

describe('the preset monosemantic', () => {
  const { tokenize, transformer, activations, saes, dashboard } = resolveInput('monosemantic');

  it('is the run of the reference, number by number (SPEC §1–4)', () => {
    expect(tokenize).toMatchObject({ tokenizer: 'gpt2', vocabSize: 50_257, heldOutFraction: 0.0005, splitSeed: 2_357 });
    expect(transformer.architecture).toEqual({ nLayer: 1, nHead: 4, dModel: 128, dMlp: 512, contextLength: 1_024, bias: false, activation: 'gelu' });
    expect(transformer.training).toMatchObject({ steps: 200_000, learningRate: 6e-4, minLearningRate: 6e-5, warmupSteps: 2_000, beta1: 0.9, beta2: 0.95, weightDecay: 0.1, gradientClip: 1 });
    expect(transformer.training.batchSize * transformer.training.gradientAccumulation * transformer.architecture.contextLength).toBe(491_520);
    expect(activations).toMatchObject({ plan: 'random-offsets', prompts: 20_000_000, positionsPerPrompt: 200, dtype: 'float16' });
    expect(saes).toHaveLength(1);
    expect(saes[0]).toMatchObject({ hook: 'blocks.0.mlp.hook_post', features: 4_096, l1Coefficient: 1e-3, lossConvention: 'mean', normalizeActivations: 'none', learningRate: 3e-4, batchSize: 8_192, epochs: 1, decayFraction: 0, l1WarmupSteps: 0 });
    expect(saes[0]?.resampling).toEqual({ steps: [25_000, 50_000, 75_000, 100_000], deadWindowSteps: 12_500, candidates: 819_200, direction: 'raw', encoderNormScale: 0.2, rewarmupSteps: 0 });
    expect(dashboard.tokens).toBeNull();
  });

  it('is 4 billion vectors in 4.1 TB, 16,000 shards and about 488,000 steps', () => {
    const vectors = activations.prompts! * activations.positionsPerPrompt;
    expect(vectors).toBe(4e9);
    expect(vectors * transformer.architecture.dMlp * 2).toBe(4.096e12);
    expect(activations.prompts! / activations.promptsPerShard).toBe(16_000);
    expect(Math.floor(vectors / saes[0]!.batchSize)).toBe(488_281);
  });
});
