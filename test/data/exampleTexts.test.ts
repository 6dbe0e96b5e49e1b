import { describe, expect, it } from 'vitest';
import { chooseExampleTexts, titleOf } from '../../data/exampleTexts.ts';
import type { DocumentRow } from '../../data/tokenShard.ts';

/** Documents of the given kinds, in stream order. */
function documents(kinds: { lang: string; count: number; length: number }[]): DocumentRow[] {
  let start = 0;
  return kinds.flatMap(({ lang, count, length }) =>
    Array.from({ length: count }, (_, index): DocumentRow => {
      const row: DocumentRow = { id: `${lang}-${index}`, split: 'heldOut', start, length: index === 0 ? 5 : length, lang, source: 'corpus', file: 'corpus.jsonl', line: index + 1 };
      start += length;
      return row;
    }),
  );
}

const ids = (rows: DocumentRow[]) => rows.map(({ id }) => id);

describe('example texts', () => {
  const mixed = documents([{ lang: 'en', count: 500, length: 200 }, { lang: 'de', count: 20, length: 150 }, { lang: 'ja', count: 3, length: 90 }]);

  it('take of every kind in turn, however unequal the kinds', () => {
    const chosen = chooseExampleTexts(mixed, 25, 128);
    expect(chosen).toHaveLength(25);
    const count = (lang: string) => chosen.filter((row) => row.lang === lang).length;
    expect([count('ja'), count('de'), count('en')]).toEqual([3, 11, 11]);
  });

  it('are the same each time, each once, and ordered by kind', () => {
    const chosen = chooseExampleTexts(mixed, 25, 128);
    expect(ids(chooseExampleTexts(mixed, 25, 128))).toEqual(ids(chosen));
    expect(new Set(ids(chosen)).size).toBe(25);
    expect(chosen.map(({ lang }) => lang)).toEqual([...chosen.map(({ lang }) => lang)].sort());
  });

  it('leave short texts for last', () => {
    expect(ids(chooseExampleTexts(documents([{ lang: 'en', count: 10, length: 100 }]), 9, 128))).not.toContain('en-0');
    expect(chooseExampleTexts(documents([{ lang: 'en', count: 10, length: 100 }]), 50, 128)).toHaveLength(10);
  });

  it('have a title of one line, cut between characters', () => {
    expect(titleOf('  Alle\n\tMenschen ')).toBe('Alle Menschen');
    expect(titleOf('доступа д\ufffd')).toBe('доступа д');
    expect([...titleOf('🎉'.repeat(200))]).toHaveLength(80);
    expect(titleOf('🎉'.repeat(200))).toMatch(/^(🎉)+…$/u);
  });
});
