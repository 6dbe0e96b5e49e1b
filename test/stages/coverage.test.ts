// What a run says it read, against an audit of what lies in its shards: document and position of every row, counted on the
// training tokens; and that a shard made alone, in any order, has the same bytes.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { decodeActivationShard } from '../../data/activationShard.ts';
import { artifactPath, listReceipts, writeSpec } from '../../data/artifact.ts';
import { manifestOf } from '../../data/inputs.ts';
import { forwardFlopsPerToken, samplingFlopsPerPrompt } from '../../model/flops.ts';
import { openTokens } from '../../stages/artifacts.ts';
import { runStage } from '../../stages/inProcess.ts';
import { runJob } from '../../stages/jobs.ts';
import { idOf, TinyInputs } from './tinyInputs.ts';

let inputs: TinyInputs;
beforeAll(async () => void (inputs = await TinyInputs.make()));
afterAll(() => inputs.remove());

const planned = (plan: 'windows' | 'random-offsets') => {
  const spec = inputs.activations();
  return { ...spec, config: { ...spec.config, activations: { ...spec.config.activations, plan, prompts: 500, promptsPerShard: 120 } } };
};

it.each(['windows', 'random-offsets'] as const)('by the plan %s: coverage is what the documents and positions of the shards say', async (plan) => {
  const spec = planned(plan);
  await runStage(inputs.store, spec);
  const { files, metrics } = await manifestOf(inputs.store, 'sampleActivations', idOf(spec).key);
  const { tokens } = await openTokens(inputs.store, spec.inputs.tokenize, 'train');
  const documents = await tokens.documents('train');
  const reads = new Uint32Array(tokens.length);
  const text = await tokens.read(0, tokens.length);
  let wrongTokens = 0;
  for (const { path } of files) {
    const { document, position, token } = await decodeActivationShard(await inputs.store.get(artifactPath(idOf(spec), path)));
    document.forEach((row, index) => {
      const at = documents[row]!.start + position[index]!;
      reads[at]!++;
      if (text[at] !== token[index]) wrongTokens++;
    });
  }
  const count = (of: (n: number) => boolean) => reads.filter(of).length;
  expect(wrongTokens).toBe(0);
  expect({ once: metrics['once'], moreThanOnce: metrics['moreThanOnce'], never: metrics['never'] }).toEqual({ once: count((n) => n === 1), moreThanOnce: count((n) => n > 1), never: count((n) => n === 0) });
  if (plan === 'random-offsets') expect(metrics['moreThanOnce']).toBeGreaterThan(0);
});

it('counts positions read, vectors kept, and operations done and left out', async () => {
  const spec = planned('windows');
  const { architecture } = inputs.config.transformer;
  const { positionsPerPrompt } = spec.config.activations;
  const { metrics } = await manifestOf(inputs.store, 'sampleActivations', idOf(spec).key);
  expect(metrics).toMatchObject({
    positions: 500 * architecture.contextLength,
    vectors: 500 * positionsPerPrompt,
    flops: 500 * samplingFlopsPerPrompt(architecture, spec.config.hook, positionsPerPrompt),
    fullFlops: 500 * architecture.contextLength * forwardFlopsPerToken(architecture, inputs.config.tokenize.vocabSize),
    overflows: 0,
  });
  expect(metrics['flops']).toBeLessThan(metrics['fullFlops']!);
});

it('a shard made alone, elsewhere and in another order has the same hash', async () => {
  const spec = planned('random-offsets');
  const id = idOf(spec);
  const made = await manifestOf(inputs.store, 'sampleActivations', id.key);
  const other = await inputs.copy('elsewhere', /^sampleActivations/);
  await writeSpec(other, id, spec);
  for (const shard of [3, 0, 4]) await runJob({ kind: 'sampleShard', artifact: id, storeUri: other.uri, shard }, { store: other, device: 'cpu', report: () => undefined, shouldStop: () => false });
  const receipts = await listReceipts(other, id);
  expect(receipts.map(({ shard }) => shard)).toEqual([0, 3, 4]);
  for (const { files } of receipts) for (const file of files) expect(made.files).toContainEqual(file);
});
