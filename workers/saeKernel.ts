// Loads the native SAE kernel that set-up compiled and registers it with the model. Without it SAEs train on tensors,
// which is right on a GPU and several times slower on a CPU.
import { existsSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { registerDigestKernel, type DigestKernel } from '../data/digestKernel.ts';
import { registerHalfKernel, type HalfKernel } from '../data/halfKernel.ts';
import { registerMemoryKernel, type MemoryKernel } from '../data/memoryKernel.ts';
import { registerLossKernel, type LossKernel } from '../model/lossKernel.ts';
import { registerSaeKernel, type SaeKernel } from '../model/saeKernel.ts';
import { UserError } from '../schemas/errors.ts';
import { saeKernelPath } from '../setup/saeKernel.ts';

const choices = ['auto', 'off', 'portable', 'avx2', 'avx512', 'avx512bf16'];

interface KernelAddon extends Omit<SaeKernel, 'isa' | 'threads'>, LossKernel, HalfKernel, MemoryKernel, DigestKernel {
  /** Chooses instruction set ('' the best there is) and threads for all that follows; returns the former. */
  open(isa: string, threads: number): string;
  /** Whether the processor has instructions for `widen` and `narrow`. */
  convertsHalf(): boolean;
  /** Whether it has those for digests. */
  digests(): boolean;
}

/**
 * The kernel, for `threads` threads; undefined where it was not built. `SAEFLOW_SAE_KERNEL` overrules the choice:
 * auto, off, or an instruction set.
 *
 * @throws UserError when the variable names what is unknown or not on this processor, and when the kernel does not load.
 */
export function openSaeKernel(threads: number, env: Record<string, string | undefined> = process.env): (SaeKernel & { loss: LossKernel; memory: MemoryKernel; half?: HalfKernel; digest?: DigestKernel }) | undefined {
  const choice = env['SAEFLOW_SAE_KERNEL'] || 'auto';
  if (!choices.includes(choice)) throw new UserError(`SAEFLOW_SAE_KERNEL=${choice} is not one of ${choices.join(', ')}.`, 'Unset it, or set it to one of these.');
  if (choice === 'off') return undefined;
  const path = saeKernelPath();
  if (!existsSync(path)) {
    if (choice !== 'auto') throw new UserError(`SAEFLOW_SAE_KERNEL=${choice}, but the kernel is not built.`, 'Run npm run setup.');
    return undefined;
  }
  try {
    const { open, tokenLosses, alignedAt, convertsHalf, widen, narrow, digests, crc32, createHash, hash, digest, ...functions } = createRequire(import.meta.url)(path) as KernelAddon;
    const isa = open(choice === 'auto' ? '' : choice, threads);
    const half = isa !== 'portable' && convertsHalf() ? { half: { widen, narrow } } : {};
    return { ...functions, isa, threads, loss: { tokenLosses }, memory: { alignedAt }, ...half, ...(isa !== 'portable' && digests() ? { digest: { crc32, createHash, hash, digest } } : {}) };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    if (choice !== 'auto') throw new UserError(`SAEFLOW_SAE_KERNEL=${choice}: ${reason}.`, 'Unset it: the best instruction set of this processor is then taken.', { cause: error });
    // built on another system, say, whose cache is shared with this one
    throw new UserError(`The SAE kernel ${realpathSync(path)} does not load: ${reason}.`, 'Delete it and run npm run setup; or set SAEFLOW_SAE_KERNEL=off: SAEs then train on TensorFlow.', { cause: error });
  }
}

/** Opens the kernel and makes trainings, losses and conversions use it; returns what SAEs will train on, for a person. */
export function registerNativeSaeKernel(threads: number, env: Record<string, string | undefined> = process.env): string {
  const kernel = openSaeKernel(threads, env);
  registerSaeKernel(kernel);
  registerLossKernel(kernel?.loss);
  registerHalfKernel(kernel?.half);
  registerDigestKernel(kernel?.digest);
  registerMemoryKernel(kernel?.memory);
  return kernel === undefined ? 'tensorflow' : `kernel ${kernel.isa}`;
}
