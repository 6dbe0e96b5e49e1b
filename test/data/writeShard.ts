// Writes two shards of made-up vectors, row group by row group, into a store, and prints the peak resident memory after
// each: arguments are the store's folder and the row groups of either.
import { readFileSync } from 'node:fs';
import { rowsPerGroup, type RowGroup } from '../../data/activationFormat.ts';
import { activationShardPieces } from '../../data/activationWriter.ts';
import { openStore } from '../../data/artifactStore.ts';

const d = 512;
const [folder, few, many] = process.argv.slice(2) as [string, string, string];
const store = openStore(folder);

function* groups(count: number): Generator<RowGroup> {
  for (let group = 0; group < count; group++) {
    const column = () => new Int32Array(rowsPerGroup).fill(group);
    yield { activation: new Uint8Array(rowsPerGroup * d * 2).fill(group), document: column(), position: column(), token: column() };
  }
}

const peaks: number[] = [];
for (const [name, count] of [['few', few], ['many', many]] as const) {
  await store.putPieces(name, activationShardPieces({ d, dtype: 'float16', metadata: {} }, groups(Number(count))));
  peaks.push(Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))![1]) * 1024);
}
console.log(peaks.join(' '));
