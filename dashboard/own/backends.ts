// Where the model runs in a browser: WebGPU, else WebGL, else WebAssembly. Whatever is passed over is told with its
// reason. A GPU that is only pretended in software is slower than WebAssembly, so it is used only when asked for.
import * as tf from '@tensorflow/tfjs-core';
import { backends, type Backend, type BackendChoice, type Refused } from './protocol.ts';

interface Gpu {
  requestAdapter(): Promise<{ isFallbackAdapter?: boolean; info?: { isFallbackAdapter?: boolean } } | null>;
}

/**
 * Starts the backend of choice, or the first that works.
 *
 * @param wasmUrl the folder of the .wasm files.
 * @throws Error when none works.
 */
export async function startBackend(choice: BackendChoice, wasmUrl: string): Promise<{ backend: Backend; refused: Refused[] }> {
  const refused: Refused[] = [];
  for (const backend of choice === 'auto' ? backends : [choice]) {
    try {
      const reason = await obstacle(backend, choice !== 'auto');
      if (reason !== undefined) throw new Error(reason);
      await register(backend, wasmUrl);
      if (!(await tf.setBackend(backend))) throw new Error('it does not start');
      await tf.ready();
      await requireSums();
      return { backend, refused };
    } catch (error) {
      refused.push({ backend, reason: error instanceof Error ? error.message : String(error) });
    }
  }
  throw new Error(`no backend works here: ${refused.map(({ backend, reason }) => `${backend}: ${reason}`).join('; ')}`);
}

async function register(backend: Backend, wasmUrl: string): Promise<void> {
  if (backend === 'webgpu') await import('@tensorflow/tfjs-backend-webgpu');
  else if (backend === 'webgl') await import('@tensorflow/tfjs-backend-webgl');
  else {
    const { setWasmPaths } = await import('@tensorflow/tfjs-backend-wasm');
    // threads start from a blob: address, which no strict content security policy allows
    tf.env().set('WASM_HAS_MULTITHREAD_SUPPORT', false);
    setWasmPaths(wasmUrl);
  }
}

/** Why a backend should not be tried; undefined if nothing speaks against it. */
async function obstacle(backend: Backend, asked: boolean): Promise<string | undefined> {
  if (backend === 'wasm') return undefined;
  if (backend === 'webgpu') {
    const { gpu } = navigator as { gpu?: Gpu };
    if (gpu === undefined) return 'this browser does not offer it';
    const adapter = await gpu.requestAdapter();
    if (adapter === null) return 'there is no GPU that it can use';
    const software = adapter.isFallbackAdapter === true || adapter.info?.isFallbackAdapter === true;
    return software && !asked ? 'only in software here' : undefined;
  }
  const context = typeof OffscreenCanvas === 'undefined' ? null : new OffscreenCanvas(1, 1).getContext('webgl2');
  if (context === null) return 'this browser does not offer it';
  if (context.getExtension('EXT_color_buffer_float') === null) return 'it computes in half precision only';
  const info = context.getExtension('WEBGL_debug_renderer_info');
  const renderer = info === null ? '' : String(context.getParameter(info.UNMASKED_RENDERER_WEBGL));
  context.getExtension('WEBGL_lose_context')?.loseContext();
  return !asked && /swiftshader|llvmpipe|software|basic render/i.test(renderer) ? 'only in software here' : undefined;
}

/** A driver that loads and computes nonsense is no backend. */
async function requireSums(): Promise<void> {
  const product = tf.tidy(() => tf.sum(tf.matMul(tf.tensor2d([1.5, 2, 3, 4.25], [2, 2]), tf.tensor2d([0.5, 1, 7, 0.25], [2, 2])), 1));
  const [first, second] = await product.data();
  product.dispose();
  if (first !== 16.75 || second !== 35.3125) throw new Error(`it computes wrongly: ${first}, ${second} in the place of 16.75, 35.3125`);
}
