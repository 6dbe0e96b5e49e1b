// How messages, HTML and prose become documents.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { blocks, cleanMessage, htmlParagraphs, isSentence, markdownBlocks, ownMessages, sentences, toDocuments } from '../../data/demoTexts.ts';

const stream = (paragraphs: string[], joiner = '\n') => ({ lang: 'de', source: 'test', paragraphs, joiner });

describe('documents of a stream', () => {
  it('hold all paragraphs in order, and are 1,000 to 7,000 bytes long', () => {
    const paragraph = fc.tuple(fc.constantFrom('a', 'ß', '日'), fc.integer({ min: 1, max: 900 })).map(([character, length]) => character.repeat(length));
    fc.assert(
      fc.property(fc.array(paragraph, { minLength: 20, maxLength: 60, size: 'max' }), (paragraphs) => {
        const documents = toDocuments(stream(paragraphs));
        const sizes = documents.map((document) => Buffer.byteLength(document.text));
        const total = Buffer.byteLength(paragraphs.join('\n'));
        fc.pre(total >= 1_000);
        expect(documents.map((document) => document.text).join('\n')).toBe(paragraphs.join('\n'));
        expect(Math.min(...sizes)).toBeGreaterThanOrEqual(1_000);
        expect(Math.max(...sizes)).toBeLessThanOrEqual(7_000);
      }),
    );
  });

  it('cut a long paragraph at sentence ends, a long block of code at line ends', () => {
    const prose = 'This is a sentence of forty characters. '.repeat(300).trim();
    const code = 'const x = 1;\n'.repeat(600).trim();
    for (const document of toDocuments(stream([prose], ' '))) expect(document.text).toMatch(/^This .*characters\.$/);
    for (const document of toDocuments(stream([code], '\n\n'))) expect(document.text).toMatch(/^const [^]*;$/);
  });

  it('are none for a stream of a few words', () => {
    expect(toDocuments(stream(['ein Wort']))).toEqual([]);
  });
});

describe('messages', () => {
  it.each([
    ['$(info) Keine Tags in "{0}".', 'Keine Tags in "{0}".'],
    ['&&Datei speichern', 'Datei speichern'],
    ['ファイルを保存(&&S)', 'ファイルを保存'],
    ['Mehr dazu [in der Hilfe](https://example.com/x).', 'Mehr dazu in der Hilfe.'],
    ['Ein <b>fettes</b> Wort, ein `<li>`-Element, Array<T>', 'Ein fettes Wort, ein `<li>`-Element, Array<T>'],
    ['Drücken Sie <keybinding:editor.action.x>.', 'Drücken Sie .'],
    ['\n\nErste Zeile  \r\n\r\nZweite', 'Erste Zeile\nZweite'],
  ])('%j becomes %j', (message, cleaned) => {
    expect(cleanMessage(message)).toBe(cleaned);
  });

  it('count as sentences by length in their script and by few placeholders', () => {
    expect(isSentence('Datei öffnen', 'de')).toBe(false);
    expect(isSentence('Die Datei kann nicht geöffnet werden.', 'de')).toBe(true);
    expect(isSentence('ファイルを開くことができません。', 'ja')).toBe(true);
    expect(isSentence('{0} von {1} bis {2} in dem Ordner der Datei', 'de')).toBe(false);
  });

  it('that two languages share, or that were there before, are left out', () => {
    const seen = new Set(['schon da']);
    expect(ownMessages({ de: ['eins', 'OpenType', 'schon da', 'eins'], fr: ['un', 'OpenType'] }, seen)).toEqual({ de: ['eins'], fr: ['un'] });
    expect(ownMessages({ de: ['eins', 'zwei'] }, seen)).toEqual({ de: ['zwei'] });
  });
});

describe('pages', () => {
  it('HTML becomes paragraphs without comments, head and tags, entities decoded', () => {
    const html = '<head><title>no</title></head><!-- no --><h1>Titel</h1><p>Ein\n  <code>Wort</code>&nbsp;&amp; mehr&#x2026;<br>Zeile &#8364;</p><dl><dt>a</dt><dd>b</dd></dl>';
    expect(htmlParagraphs(html)).toEqual(['Titel', 'Ein Wort & mehr…', 'Zeile €', 'a', 'b']);
  });

  it('Markdown and code become blocks, sentences are found in running text', () => {
    expect(markdownBlocks('# [Titel](x)\n\n<!-- no -->\n\n\ntext  \nmore')).toEqual(['# Titel', 'text\nmore']);
    expect(blocks('\ufeffa\r\n\r\nb \n')).toEqual(['a', 'b']);
    expect(sentences('Mr. Speaker said so. "Yes!" Then e.g. this. End')).toEqual(['Mr.', 'Speaker said so.', '"Yes!"', 'Then e.g. this.', 'End']);
  });
});
