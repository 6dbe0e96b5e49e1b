// A process of its own that makes stages in a store: `trainProcess.ts STORE THREADS SPEC.json…`. Prints each artifact's
// content hash. Threads are fixed when TensorFlow loads, so another number of them needs another process.
import { readFile } from 'node:fs/promises';
import { openStore } from '../../data/artifactStore.ts';
import { stageSpec } from '../../schemas/stages.ts';
import { loadBackend } from '../../workers/tensorflow.ts';
import { runStage } from '../../stages/inProcess.ts';

const [storeUri, threads, ...specs] = process.argv.slice(2);
await loadBackend({ threads: Number(threads) });
for (const path of specs) {
  const spec = stageSpec.parse(JSON.parse(await readFile(path, 'utf8')));
  const { artifact } = await runStage(openStore(storeUri!), spec);
  process.stdout.write(`${artifact.contentSha256}\n`);
}
