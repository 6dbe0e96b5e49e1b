// Every implementation of the SAE's training step: tests that hold for one must hold for all.
import { NativeSaeTrainer } from '../../model/nativeSaeTrainer.ts';
import type { SaeKernel } from '../../model/saeKernel.ts';
import { TensorSaeTrainer, type SaePath, type SaeTrainer, type SaeTrainerConfig, type SaeTrainingArrays } from '../../model/saeTrainer.ts';
import { UserError } from '../../schemas/errors.ts';
import { openSaeKernel } from '../../workers/saeKernel.ts';

export interface TrainerKind {
  name: string;
  open(state: SaeTrainingArrays, config: SaeTrainerConfig): SaeTrainer;
}

/** The kernel on one instruction set, opened anew because the last one opened is the one in use; undefined where this processor lacks it. */
export function kernelFor(isa: string, threads = 2): SaeKernel | undefined {
  try {
    return openSaeKernel(threads, { SAEFLOW_SAE_KERNEL: isa });
  } catch (error) {
    if (error instanceof UserError && error.message.includes('not on this processor')) return undefined;
    throw error;
  }
}

/** Instruction sets of the kernel that this processor has; `portable` is on all. */
export const instructionSets = ['portable', 'avx2', 'avx512', 'avx512bf16'].filter((isa) => kernelFor(isa) !== undefined);

/** A trainer that always takes the path given. */
export function onPath(path: SaePath, trainer: SaeTrainer): SaeTrainer {
  const lastL0 = path === 'sparse' ? 0 : Infinity;
  return {
    device: trainer.device,
    step: (x, step, rates) => trainer.step(x, step, rates, lastL0),
    losses: (x, l1Coefficient) => trainer.losses(x, l1Coefficient),
    arrays: () => trainer.arrays(),
    dispose: () => trainer.dispose(),
  };
}

export const trainers: TrainerKind[] = [
  { name: 'tensors', open: (state, config) => new TensorSaeTrainer(state, config) },
  ...instructionSets.flatMap((isa) =>
    (['sparse', 'dense'] as const).map((path) => ({
      name: `kernel ${isa}, ${path}`,
      open: (state: SaeTrainingArrays, config: SaeTrainerConfig) => onPath(path, new NativeSaeTrainer(kernelFor(isa)!, state, config)),
    })),
  ),
];
