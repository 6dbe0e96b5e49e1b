// A small real corpus for tests and benches that run the pipeline: the TypeScript compiler's messages in several languages and its
// library declarations, as they lie in node_modules. Documents carry lang and source, as the demo's do.
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const library = dirname(createRequire(import.meta.url).resolve('typescript'));
const languages = ['de', 'fr', 'ja', 'ru'];

/** Documents of about 1.5 KB, languages and code in turn. */
export function testDocuments(perLanguage: number): { text: string; lang: string; source: string }[] {
  const texts = new Map<string, string[]>(languages.map((lang) => [lang, chunked(messages(lang), 20)]));
  texts.set('code', chunked(readFileSync(join(library, 'lib.es5.d.ts'), 'utf8').split('\n'), 40));
  return Array.from({ length: perLanguage }, (_, index) => [...texts].map(([lang, documents]) => ({ text: documents[index % documents.length]!, lang, source: 'typescript' }))).flat();
}

/** Writes testDocuments as JSON lines. */
export async function writeTestCorpus(file: string, perLanguage = 60): Promise<string> {
  await writeFile(file, testDocuments(perLanguage).map((document) => `${JSON.stringify(document)}\n`).join(''));
  return file;
}

function messages(lang: string): string[] {
  return Object.values(JSON.parse(readFileSync(join(library, lang, 'diagnosticMessages.generated.json'), 'utf8')) as Record<string, string>);
}

function chunked(lines: string[], size: number): string[] {
  return Array.from({ length: Math.floor(lines.length / size) }, (_, index) => lines.slice(index * size, (index + 1) * size).join('\n'));
}
