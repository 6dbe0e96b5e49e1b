// A corpus for runs of the tiny preset: real text (TypeScript's declarations), cut into documents.
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

/** Writes `corpus.jsonl` of 600 documents, some 500 KB, into `folder` and returns its path. */
export function writeSmallCorpus(folder: string): string {
  const text = readFileSync(createRequire(import.meta.url).resolve('typescript/lib/lib.dom.d.ts'), 'utf8');
  const documentChars = 800;
  const documents = Array.from({ length: 600 }, (_, index) => ({ id: `d${index}`, lang: 'ts', source: 'lib.dom', text: text.slice(index * documentChars, (index + 1) * documentChars) }));
  const path = join(folder, 'corpus.jsonl');
  writeFileSync(path, documents.map((document) => `${JSON.stringify(document)}\n`).join(''));
  return path;
}
