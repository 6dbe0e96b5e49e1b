// A process that denies the SAE kernel something and prints what came of it. Argument: memory, threads, order or handles.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { types } from 'node:util';
import { NativeSaeTrainer } from '../../model/nativeSaeTrainer.ts';
import { initialSae } from '../../model/sae.ts';
import type { SaeKernel, SaeKernelHandle } from '../../model/saeKernel.ts';
import { zeroSaeArrays, type SaeTrainer } from '../../model/saeTrainer.ts';
import { saeKernelPath } from '../../setup/saeKernel.ts';
import { openSaeKernel } from '../../workers/saeKernel.ts';

const d = 16;
const allowedBytes = 200e6;

/** A training all of whose features fire on every vector, on the path that lists what fires. */
function open(kernel: SaeKernel, features: number): { trainer: SaeTrainer; step(vectors: number): number } {
  const weights = initialSae(d, features, 1, new Float32Array(d));
  weights.b_enc.fill(100);
  const config = { features, batchSize: 1, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, lossConvention: 'sum' } as const;
  const trainer = new NativeSaeTrainer(kernel, { weights, m: zeroSaeArrays(d, features), v: zeroSaeArrays(d, features) }, config);
  return { trainer, step: (vectors) => trainer.step(new Float32Array(vectors * d).fill(0.1), 1, { learningRate: 1e-3, l1Coefficient: 1e-3 }, 0).l0 };
}

/** From now on the process gets no more than so many bytes of addresses. */
function allow(moreBytes: number): void {
  const [pages] = readFileSync('/proc/self/statm', 'utf8').split(' ');
  execFileSync('prlimit', [`--pid=${process.pid}`, `--as=${Number(pages) * 4096 + moreBytes}:`]);
}

function messageOf(action: () => unknown): string {
  try {
    action();
    return 'nothing was thrown';
  } catch (error) {
    return (error as Error).message;
  }
}

const denied: Record<string, () => string> = {
  memory() {
    const { trainer, step } = open(openSaeKernel(2, {})!, 4096);
    allow(allowedBytes);
    const message = messageOf(() => step(8192));
    trainer.dispose();
    return message;
  },
  threads() {
    allow(allowedBytes);
    return messageOf(() => openSaeKernel(512, {}));
  },
  order() {
    const kernel = createRequire(import.meta.url)(saeKernelPath()) as SaeKernel;
    return messageOf(() => open(kernel, 8).step(1));
  },
  handles() {
    const kernel = openSaeKernel(2, {})!;
    // an external of Node's own: that of the pipe this process prints to
    const { _externalStream: foreign } = (process.stdout as unknown as { _handle: { _externalStream: SaeKernelHandle } })._handle;
    if (!types.isExternal(foreign)) throw new Error('Node has no external there any more');
    const others = [foreign, ...(kernel.digest === undefined ? [] : [kernel.digest.createHash()]), {}, 1, undefined] as SaeKernelHandle[];
    return [...new Set(others.map((handle) => messageOf(() => kernel.release(handle))))].join();
  },
};
const message = denied[process.argv[2]!]!();
console.log(JSON.stringify({ message, l0Afterwards: open(openSaeKernel(2, {})!, 8).step(3) }));
