// Which held-out texts the dashboard shows with all their activations: of every kind some, the same ones for the same
// tokens, whatever ran where.
import { RandomStream } from '../schemas/random.ts';
import type { DocumentRow } from './tokenShard.ts';

/** A text shorter than this is shown only where its kind has no longer one: a line says little about a feature. */
const enoughTokens = 64;

/**
 * Documents to show, at most `wanted`: the kinds (language and source) take turns, those with the most tokens first, and
 * each gives its documents in a seeded order, short ones last. Sorted by kind for the reader.
 */
export function chooseExampleTexts(documents: readonly DocumentRow[], wanted: number, contextLength: number): DocumentRow[] {
  const kinds = new Map<string, { name: string; tokens: number; documents: DocumentRow[] }>();
  for (const document of documents) {
    const name = JSON.stringify([document.lang, document.source]);
    const kind = kinds.get(name) ?? { name, tokens: 0, documents: [] };
    kind.tokens += document.length;
    kind.documents.push(document);
    kinds.set(name, kind);
  }
  const enough = Math.min(enoughTokens, contextLength);
  const queues = [...kinds.values()]
    .sort((a, b) => b.tokens - a.tokens || (a.name < b.name ? -1 : 1))
    .map(({ name, documents }) => {
      const order = [...new RandomStream(0, 'exportDashboard', 'texts', name).permutation(documents.length)].map((index) => documents[index]!);
      return { name, left: [...order.filter(({ length }) => length >= enough), ...order.filter(({ length }) => length < enough)] };
    });
  const chosen: { name: string; document: DocumentRow }[] = [];
  for (let round = 0; chosen.length < wanted && queues.some(({ left }) => left.length > round); round++) {
    for (const { name, left } of queues) if (left[round] !== undefined && chosen.length < wanted) chosen.push({ name, document: left[round]! });
  }
  return chosen.sort((a, b) => (a.name === b.name ? a.document.start - b.document.start : a.name < b.name ? -1 : 1)).map(({ document }) => document);
}

const titleCharacters = 80;

/** The beginning of a text on one line, without a character that the text ends in the middle of. */
export function titleOf(text: string): string {
  const characters = [...text.replace(/\ufffd+$/, '').replace(/\s+/g, ' ').trim()];
  return characters.length <= titleCharacters ? characters.join('') : `${characters.slice(0, titleCharacters - 1).join('')}…`;
}
