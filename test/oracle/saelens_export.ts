// Makes what saelens_evaluation.py reads: an SAE exported by saeflow as any run exports it, the model it belongs to and
// held-out tokens. Run once by `npx tsx test/oracle/saelens_export.ts`, then the Python script; both halves are checked in.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { artifactPath } from '../../data/artifact.ts';
import { openStore } from '../../data/artifactStore.ts';
import { resolveCorpusFiles } from '../../data/corpusFiles.ts';
import { corpusPath } from '../../data/plans.ts';
import { resolveInput } from '../../presets/resolve.ts';
import type { StageName } from '../../schemas/stages.ts';
import { loadBackend } from '../../workers/tensorflow.ts';
import { writeTestCorpus } from '../../bench/corpus.ts';
import { runPipeline } from '../../stages/inProcess.ts';

const target = new URL('./saelens/', import.meta.url);
const [windows, contextLength] = [48, 16];
const corpusKey = 'c'.repeat(64);

await loadBackend({});
const folder = await mkdtemp(join(tmpdir(), 'saeflow-saelens-'));
await writeTestCorpus(join(folder, 'corpus.jsonl'));
const store = openStore(join(folder, 'store'));
await store.put(corpusPath(corpusKey), Buffer.from(JSON.stringify(await resolveCorpusFiles([join(folder, 'corpus.jsonl')], folder))));
const config = resolveInput({
  preset: 'tiny',
  tokenize: { vocabSize: 300 },
  // d_mlp 16: the width of the SAE's input
  transformer: { architecture: { dModel: 8, dMlp: 16, contextLength }, training: { steps: 400, learningRate: 1e-2, evaluateEverySteps: 400, checkpointEverySteps: 400 } },
  activations: { prompts: 2_048, positionsPerPrompt: 12, promptsPerShard: 512 },
  // a normalisation, so that its folding into the exported weights is compared too
  saes: [{ features: 64, l1Coefficient: 0.06, normalizeActivations: 'unit-mean-square', learningRate: 3e-3, batchSize: 64, initVectors: 4_096, resampling: { steps: [150], deadWindowSteps: 100, candidates: 2_048 }, segmentSteps: 400, checkpointEverySteps: 400 }],
});
const results = await runPipeline(store, config, corpusKey);
const file = (stage: StageName, path: string) => store.get(artifactPath(results.find(({ artifact }) => artifact.stage === stage)!.artifact, path));
const files = {
  'cfg.json': await file('trainSae', 'cfg.json'),
  'sae_weights.safetensors': await file('trainSae', 'sae_weights.safetensors'),
  'activation_mean.safetensors': await file('trainSae', 'activation_mean.safetensors'),
  'model.safetensors': await file('trainTransformer', 'model.safetensors'),
  'model.json': Buffer.from(`${JSON.stringify(config.transformer.architecture, null, 2)}\n`),
  // whole windows and the token after the last
  'tokens.bin': (await file('tokenize', 'shards/00000.heldOut.bin')).subarray(0, 2 * (windows * contextLength + 1)),
};
await mkdir(target, { recursive: true });
for (const [name, bytes] of Object.entries(files)) await writeFile(new URL(name, target), bytes);
await rm(folder, { recursive: true });
console.log(results.at(-1)!.artifact.metrics);
