// What a tokenizer.json does to a text before byte-level BPE sees it: tokens that stand in the text by name are taken
// out, the rest is normalized and cut by its split patterns.

/** A token with a name. Special ones are plain text here, but like in the original hide others that begin within them. */
export interface NamedToken {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
  /** Whether it is looked for in the normalized text. */
  readonly normalized: boolean;
}

export interface TextCuts {
  readonly named: readonly NamedToken[];
  readonly nfc: boolean;
  /** Each cuts the pieces of the one before it. */
  readonly splits: readonly RegExp[];
  /** Whether a piece that does not begin with a space gets one. */
  readonly prefixSpace: boolean;
}

/** The function that cuts a text into texts and the ids of named tokens; undefined where that would be the text itself. */
export function textCutter({ named, nfc, splits, prefixSpace }: TextCuts): ((text: string) => Generator<string | number>) | undefined {
  const first = nameFinder(named.filter(({ normalized }) => !normalized));
  const second = nameFinder(named.filter(({ normalized }) => normalized).map((token) => (nfc ? { ...token, content: token.content.normalize('NFC') } : token)));
  if (first === undefined && second === undefined && !nfc && splits.length === 0 && !prefixSpace) return undefined;

  function* piecesOf(text: string): Generator<string> {
    for (const piece of splits.reduce<string[]>((pieces, pattern) => pieces.flatMap((part) => isolate(part, pattern)), [text])) {
      yield prefixSpace && !piece.startsWith(' ') ? ` ${piece}` : piece;
    }
  }
  return function* (text) {
    for (const part of outOf(wellFormed(text), first)) {
      if (typeof part === 'number') yield part;
      else for (const inner of outOf(nfc ? part.normalize('NFC') : part, second)) {
        if (typeof inner === 'number') yield inner;
        else yield* piecesOf(inner);
      }
    }
  };
}

interface NameFinder {
  readonly pattern: RegExp;
  /** Null for a special token. */
  readonly ids: ReadonlyMap<string, number | null>;
}

/** Of names that begin at one place the longest is found. Undefined if none can make a difference. */
function nameFinder(named: readonly NamedToken[]): NameFinder | undefined {
  if (named.every(({ special }) => special)) return undefined;
  const longestFirst = [...named].sort((a, b) => b.content.length - a.content.length);
  return {
    pattern: new RegExp(longestFirst.map(({ content }) => escaped(content)).join('|'), 'gu'),
    ids: new Map(named.map(({ content, id, special }) => [content, special ? null : id])),
  };
}

/** The ids of the names in a text, and the texts between them. */
function outOf(text: string, finder: NameFinder | undefined): (string | number)[] {
  if (finder === undefined) return text === '' ? [] : [text];
  const parts: (string | number)[] = [];
  let done = 0;
  forEachMatch(text, finder.pattern, (name, index) => {
    const id = finder.ids.get(name) ?? null;
    if (id === null) return;
    if (index > done) parts.push(text.slice(done, index));
    parts.push(id);
    done = index + name.length;
  });
  if (done < text.length) parts.push(text.slice(done));
  return parts;
}

/** What the pattern matches and what is between, each a piece. */
function isolate(text: string, pattern: RegExp): string[] {
  const pieces: string[] = [];
  let done = 0;
  forEachMatch(text, pattern, (piece, index) => {
    if (index > done) pieces.push(text.slice(done, index));
    pieces.push(piece);
    done = index + piece.length;
  });
  if (done < text.length) pieces.push(text.slice(done));
  return pieces;
}

/** All matches that are not empty. String.matchAll would compile the pattern for each text: six times as slow for short ones. */
function forEachMatch(text: string, pattern: RegExp, use: (match: string, index: number) => void): void {
  pattern.lastIndex = 0;
  for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
    if (match[0] === '') pattern.lastIndex += (text.codePointAt(match.index) ?? 0) > 0xffff ? 2 : 1;
    else use(match[0], match.index);
  }
}

/** With U+FFFD for lone surrogates, which stay out of classes otherwise. */
function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, '\ufffd');
}

/** Matches a text as it is. */
export function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}
