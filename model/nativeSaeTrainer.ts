// The SAE step on the native kernel: the same mathematics as on tensors, without the work that zeros would do.
import { saeParameterNames, type SaeArrays } from './sae.ts';
import type { SaeKernel, SaeKernelHandle } from './saeKernel.ts';
import { zeroSaeArrays, type SaeStepResult, type SaeTrainer, type SaeTrainerConfig, type SaeTrainingArrays } from './saeTrainer.ts';

/** Share of features active above which whole matrices are faster than active pairs (bench sae-step). */
export const denseFraction = 0.22;

export class NativeSaeTrainer implements SaeTrainer {
  readonly device: string;
  private readonly kernel: SaeKernel;
  private readonly handle: SaeKernelHandle;
  private readonly config: SaeTrainerConfig;
  private readonly d: number;

  constructor(kernel: SaeKernel, { weights, m, v }: SaeTrainingArrays, config: SaeTrainerConfig) {
    this.kernel = kernel;
    this.config = config;
    this.d = weights.b_dec.length;
    this.device = `sae kernel (${kernel.isa})`;
    this.handle = kernel.create(this.d, config.features);
    ([weights, m, v] as const).forEach(({ W_enc, b_enc, W_dec, b_dec }, which) => kernel.load(this.handle, which as 0 | 1 | 2, W_enc, b_enc, W_dec, b_dec));
  }

  step(x: Float32Array, step: number, { learningRate, l1Coefficient }: { learningRate: number; l1Coefficient: number }, lastL0 = Infinity): SaeStepResult {
    const { features, beta1, beta2, epsilon } = this.config;
    const sparse = lastL0 <= denseFraction * features;
    const fired = new Uint32Array(features);
    const out = new Float64Array(5);
    this.kernel.step(this.handle, x, sparse, Float64Array.of(learningRate, l1Coefficient, this.squareScale, beta1, beta2, epsilon, step), fired, out);
    const pairs = out[3]!;
    const nonFinite = out[4]!;
    // float32 like all else: a loss beyond its range is infinite here too
    const [loss, mse, l1] = Float32Array.from(out);
    const name = saeParameterNames[nonFinite];
    return { loss: loss!, mse: mse!, l1: l1!, l0: (pairs * this.d) / x.length, fired, path: sparse ? 'sparse' : 'dense', ...(name === undefined ? {} : { nonFinite: name }) };
  }

  losses(x: Float32Array, l1Coefficient: number): Float32Array {
    const out = new Float32Array(x.length / this.d);
    this.kernel.losses(this.handle, x, l1Coefficient, this.squareScale, out);
    return out;
  }

  arrays(): SaeTrainingArrays {
    const [weights, m, v] = ([0, 1, 2] as const).map((which): SaeArrays => {
      const arrays = zeroSaeArrays(this.d, this.config.features);
      this.kernel.save(this.handle, which, arrays.W_enc, arrays.b_enc, arrays.W_dec, arrays.b_dec);
      return arrays;
    });
    return { weights: weights!, m: m!, v: v! };
  }

  dispose(): void {
    this.kernel.release(this.handle);
  }

  private get squareScale(): number {
    return this.config.lossConvention === 'mean' ? 1 : this.d;
  }
}
