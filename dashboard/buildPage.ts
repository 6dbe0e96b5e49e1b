// Bundles the dashboard page into three static files. It runs inside exportDashboard, so it must be deterministic (the
// site is an artifact with a hash) and must not reach the network: fonts are the system's, libraries are bundled.
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { featuresPerChunk } from '../schemas/dashboard.ts';
import { buildOwn } from './buildOwn.ts';

export interface PageFile {
  /** Path inside the site folder, such as `app.js`. */
  path: string;
  bytes: Uint8Array;
}

const pageFolder = fileURLToPath(new URL('./page/', import.meta.url));

/**
 * The dashboard's page: index.html, app.js and app.css, and own/ for the reader's own texts, minified, equal bytes for equal source. Callers write them into
 * the site folder, beside `data/`; the page finds its data by relative URL, so any static host in any sub-path serves it.
 *
 * @throws when the page's source does not compile (esbuild's own error, with file and line).
 * @example
 * for (const { path, bytes } of await buildPage()) await writeFile(join(site, path), bytes);
 */
export async function buildPage(): Promise<PageFile[]> {
  const result = await build({
    absWorkingDir: pageFolder,
    entryPoints: [
      { in: 'main.ts', out: 'app' },
      { in: 'app.css', out: 'app' },
    ],
    outdir: 'out',
    write: false,
    bundle: true,
    minify: true,
    // A plain script, not a module: it also starts from file://, where the page can then explain what it needs.
    format: 'iife',
    platform: 'browser',
    target: 'es2022',
    charset: 'utf8',
    legalComments: 'eof',
    logLevel: 'silent',
    // The number alone: importing the schema module would put all of zod (450 kB) into the page.
    define: { FEATURES_PER_CHUNK: String(featuresPerChunk) },
  });
  const bundled = result.outputFiles.map((file) => ({ path: file.path.endsWith('.css') ? 'app.css' : 'app.js', bytes: file.contents }));
  const html = { path: 'index.html', bytes: new Uint8Array(await readFile(new URL('./page/index.html', import.meta.url))) };
  return [html, ...bundled.sort((a, b) => (a.path < b.path ? -1 : 1)), ...(await buildOwn())];
}
