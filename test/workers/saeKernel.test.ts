import { describe, expect, it } from 'vitest';
import { openSaeKernel } from '../../workers/saeKernel.ts';

describe('openSaeKernel', () => {
  it('takes the best instruction set of this processor by itself, and the one asked for', () => {
    expect(['portable', 'avx2', 'avx512', 'avx512bf16']).toContain(openSaeKernel(1, {})?.isa);
    expect(openSaeKernel(1, { SAEFLOW_SAE_KERNEL: 'portable' })).toMatchObject({ isa: 'portable', threads: 1 });
  });

  it('is off on request', () => {
    expect(openSaeKernel(1, { SAEFLOW_SAE_KERNEL: 'off' })).toBeUndefined();
  });

  it('names a choice it does not know', () => {
    expect(() => openSaeKernel(1, { SAEFLOW_SAE_KERNEL: 'sse9' })).toThrow('SAEFLOW_SAE_KERNEL=sse9 is not one of auto, off, portable, avx2, avx512, avx512bf16.');
  });
});
