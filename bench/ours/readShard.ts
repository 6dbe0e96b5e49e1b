// Our side of reading an activation shard whole: row group by row group out of the store, CRC-32 checked, into one float32
// matrix. Argument: {store, path, rows, d}.
import { z } from 'zod';
import { ActivationFile } from '../../data/activationFile.ts';
import { rowsPerGroup } from '../../data/activationFormat.ts';
import { openStore } from '../../data/artifactStore.ts';
import { fromFloat16 } from '../../data/float16.ts';
import { artifactId } from '../../schemas/stages.ts';
import { fileEntry } from '../../schemas/artifact.ts';
import { serveSide } from './serve.ts';

const { store, artifact, entry, d } = z.object({ store: z.string(), artifact: artifactId, entry: fileEntry, d: z.int() }).parse(JSON.parse(process.argv[2]!));
const opened = openStore(store);
const rows = entry.rows!;

await serveSide({ name: 'Node', tensorflowVersion: process.versions.node, threads: 1 }, async () => {
  const file = new ActivationFile(opened, artifact, entry, d);
  const x = new Float32Array(rows * d);
  let next = file.read(0);
  for (let start = 0; start < rows; start += rowsPerGroup) {
    const { vectors } = await next;
    if (start + rowsPerGroup < rows) next = file.read(start / rowsPerGroup + 1);
    const target = x.subarray(start * d, (start + rowsPerGroup) * d);
    if (vectors instanceof Uint16Array) fromFloat16(vectors, target);
    else target.set(vectors);
  }
  let magnitude = 0;
  for (let row = 0; row < rows; row += 1_000) for (const value of x.subarray(row * d, (row + 1) * d)) magnitude += Math.abs(value);
  return { values: { rows, magnitude } };
});
