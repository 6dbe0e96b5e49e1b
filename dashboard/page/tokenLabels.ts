// Token labels for the whole table: computed once a token, with their rank in the alphabet, so that sorting and
// searching 131,072 rows compares numbers and ready strings.
import type { Vocabulary } from '../../schemas/dashboard.ts';
import { el } from './dom.ts';
import { tokenLabel, visiblePieces } from './tokens.ts';

export class TokenLabels {
  readonly vocabulary: Vocabulary;
  readonly #labels = new Map<number, string>();

  constructor(vocabulary: Vocabulary) {
    this.vocabulary = vocabulary;
  }

  /** The token as text; '' for a dead feature's −1. */
  label(id: number): string {
    if (id < 0) return '';
    const known = this.#labels.get(id);
    if (known !== undefined) return known;
    const label = tokenLabel(id, this.vocabulary);
    this.#labels.set(id, label);
    return label;
  }

  /** Alphabetical rank of each token among those given, equal labels by id; leading spaces do not count. */
  ranks(ids: Iterable<number>): Map<number, number> {
    const collator = new Intl.Collator('en', { numeric: true });
    const unique = [...new Set(ids)].map((id) => ({ id, label: this.label(id).trim() }));
    unique.sort((a, b) => collator.compare(a.label, b.label) || a.id - b.id);
    return new Map(unique.map(({ id }, rank) => [id, rank]));
  }
}

/** A token on its own, as in a list: white space and control characters as quiet marks. */
export function tokenChip(id: number, labels: TokenLabels): HTMLElement {
  const chip = el('code', { class: 'chip', title: `token ${id}` });
  for (const piece of visiblePieces(labels.label(id), true)) chip.append(piece.mark ? el('span', { class: 'mark' }, piece.text) : piece.text);
  return chip;
}
