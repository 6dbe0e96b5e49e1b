// The second bundle of the page: the model with its backends, loaded when a reader opens the page for own texts. Module
// chunks, so that a browser fetches only the backend it uses; the .wasm files lie beside them, since nothing may come
// from another host.
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { PageFile } from './buildPage.ts';

const ownFolder = fileURLToPath(new URL('./own/', import.meta.url));
/** Without threads: these start from blob: addresses, which the page's policy forbids. */
const wasmFiles = ['tfjs-backend-wasm.wasm', 'tfjs-backend-wasm-simd.wasm'];

/** The files of site/own/: worker.js, its chunks, and WebAssembly. Equal bytes for equal sources. */
export async function buildOwn(): Promise<PageFile[]> {
  const result = await build({
    absWorkingDir: ownFolder,
    entryPoints: ['worker.ts'],
    outdir: 'out',
    write: false,
    bundle: true,
    splitting: true,
    chunkNames: '[name]-[hash]',
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    charset: 'utf8',
    legalComments: 'eof',
    logLevel: 'silent',
  });
  const scripts = result.outputFiles.map((file) => ({ path: `own/${relative(join(ownFolder, 'out'), file.path)}`, bytes: file.contents }));
  const wasmFolder = dirname(createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm'));
  const wasm = await Promise.all(wasmFiles.map(async (name) => ({ path: `own/${name}`, bytes: new Uint8Array(await readFile(join(wasmFolder, name))) })));
  return [...scripts, ...wasm].sort((a, b) => (a.path < b.path ? -1 : 1));
}
