// Reads a corpus in a process of its own, so that its memory is its own: prints documents and peak resident bytes.
import { resolveCorpusFiles } from '../../data/corpusFiles.ts';
import { planCorpusShards } from '../../data/corpusShards.ts';
import { defaultReadOptions, readDocuments } from '../../data/documents.ts';

let documents = 0;
let peakBytes = 0;
const files = await resolveCorpusFiles([process.argv[2]!], process.cwd());
for (const shard of planCorpusShards(files, Number(process.argv[3]))) {
  for await (const { text } of readDocuments(shard, defaultReadOptions)) {
    if (text.length > 0) documents++;
    if (documents % 1_000 === 0) peakBytes = Math.max(peakBytes, process.memoryUsage.rss());
  }
}
console.log(JSON.stringify({ documents, peakBytes }));
