import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PromptPlan, randomOffset } from '../../data/promptPlan.ts';
import { activationsConfig } from '../../schemas/config.ts';
import { RandomStream } from '../../schemas/random.ts';

const plans = fc.record({
  plan: fc.constantFrom('windows' as const, 'random-offsets' as const),
  contextLength: fc.integer({ min: 2, max: 12 }),
  windows: fc.integer({ min: 1, max: 20 }),
  rest: fc.integer({ min: 0, max: 11 }),
  seed: fc.integer({ min: 0, max: 1000 }),
});

/** How often each position is read, by going through every prompt. */
function audit(plan: PromptPlan, tokens: number): number[] {
  const reads = new Array<number>(tokens).fill(0);
  for (let prompt = 0; prompt < plan.prompts; prompt++) for (const position of plan.positions(prompt)) reads[plan.offset(prompt) + position]!++;
  return reads;
}

describe('a prompt plan', () => {
  it('reports the coverage that an audit of every prompt finds', async () => {
    await fc.assert(
      fc.asyncProperty(plans, async ({ plan: kind, contextLength, windows, rest, seed }) => {
        const tokens = windows * contextLength + Math.min(rest, contextLength - 1);
        const config = activationsConfig.parse({ plan: kind, prompts: windows, positionsPerPrompt: Math.ceil(contextLength / 2) });
        const plan = new PromptPlan(config, seed, contextLength, tokens);
        const reads = audit(plan, tokens);
        expect(await plan.coverage()).toEqual({ once: reads.filter((n) => n === 1).length, moreThanOnce: reads.filter((n) => n > 1).length, never: reads.filter((n) => n === 0).length });
        expect(reads.reduce((a, b) => a + b, 0)).toBe(plan.vectors);
      }),
    );
  });

  it('by windows reads no position twice and, without a limit, every window', () => {
    const plan = new PromptPlan(activationsConfig.parse({ positionsPerPrompt: 8 }), 1, 8, 83);
    expect(plan.prompts).toBe(10);
    expect(audit(plan, 83)).toEqual(Array.from({ length: 83 }, (_, position) => (position < 80 ? 1 : 0)));
  });

  it('gives a prompt the same tokens in whatever order prompts are asked for', () => {
    const make = () => new PromptPlan(activationsConfig.parse({ positionsPerPrompt: 3 }), 4, 8, 800);
    const [forward, backward] = [make(), make()];
    const there = Array.from({ length: 100 }, (_, prompt) => [forward.offset(prompt), ...forward.positions(prompt)]);
    const back = Array.from({ length: 100 }, (_, index) => [backward.offset(99 - index), ...backward.positions(99 - index)]);
    expect(back.reverse()).toEqual(there);
  });

  it('refuses more windows than the tokens hold, naming both numbers', () => {
    expect(() => new PromptPlan(activationsConfig.parse({ prompts: 11 }), 1, 8, 83)).toThrow('11 prompts asked for, but 83 training tokens hold 10 windows of 8');
    expect(() => new PromptPlan(activationsConfig.parse({}), 1, 1024, 83)).toThrow('83 training tokens are fewer than one prompt of 1024');
  });
});

it('random offsets reach beyond 2^32 in corpora that have more tokens', () => {
  const offsets = Array.from({ length: 200 }, (_, index) => randomOffset(new RandomStream(1, index), 9_035_582_198));
  expect(Math.max(...offsets)).toBeGreaterThan(2 ** 32);
  expect(offsets.every((offset) => Number.isInteger(offset) && offset < 9_035_582_198)).toBe(true);
});
