// Makes the inputs of the golden tests anew (`npx tsx test/stages/golden/record.ts`): one artifact of each stage, which the
// next stage reads. Only for when they can't be read any more: as long as they stay, a stage's golden hash depends on
// nothing but that stage.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { resolveCorpus } from '../../../activities/resolveCorpus.ts';
import { openStore } from '../../../data/artifactStore.ts';
import type { StageSpec } from '../../../schemas/stages.ts';
import { runStage } from '../../../stages/inProcess.ts';
import { goldenCorpus, goldenSpecs, type InputKeys } from './config.ts';

await tf.setBackend('cpu');
const scratch = mkdtempSync(join(tmpdir(), 'saeflow-golden-'));
const inputs = join(import.meta.dirname, 'inputs');
rmSync(inputs, { recursive: true, force: true });
writeFileSync(join(scratch, 'corpus.jsonl'), goldenCorpus());
const store = openStore(join(scratch, 'store'));
const { key: corpus } = await resolveCorpus({ store, cwd: scratch }, { ...goldenSpecs.tokenize('').config.corpus, paths: ['corpus.jsonl'] });
const make = async (spec: StageSpec) => (await runStage(store, spec)).artifact.key;

const tokenize = await make(goldenSpecs.tokenize(corpus));
const trainTransformer = await make(goldenSpecs.trainTransformer({ tokenize }));
const sampleActivations = await make(goldenSpecs.sampleActivations({ tokenize, trainTransformer }));
const trainSae = await make(goldenSpecs.trainSae({ sampleActivations }));
const keys: InputKeys = { tokenize, trainTransformer, sampleActivations, trainSae };
const kept = openStore(inputs);
for (const [stage, key] of Object.entries(keys)) {
  for (const { path } of await store.list(`${stage}/${key}/`)) await kept.put(path, await store.get(path));
}
writeFileSync(join(inputs, 'keys.json'), `${JSON.stringify(keys, null, 1)}\n`);
rmSync(scratch, { recursive: true, force: true });
console.log(`written: ${inputs}`);
