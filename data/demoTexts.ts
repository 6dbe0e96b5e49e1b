// Text out of what packages hold: translated messages, HTML, prose and source code become streams of paragraphs, and
// these become documents of a few thousand bytes, long enough that a model sees its language and not a label.

/** Paragraphs that belong together, in reading order. */
export interface TextStream {
  readonly lang: string;
  readonly source: string;
  readonly paragraphs: readonly string[];
  /** Stands between two paragraphs. */
  readonly joiner: string;
}

export interface DemoText {
  readonly lang: string;
  readonly source: string;
  readonly text: string;
}

/** A document closes when it has TARGET bytes; none is longer than MAX but for one word or line that is. */
const TARGET_BYTES = 2_800;
const MAX_BYTES = 6_000;
/** A rest below this joins the document before it, and a stream below this is dropped. */
const MIN_BYTES = 1_000;

/** Documents of 1 to 6 kB out of one stream. */
export function toDocuments({ lang, source, paragraphs, joiner }: TextStream): DemoText[] {
  const texts: string[] = [];
  let open: string[] = [];
  let openBytes = 0;
  const close = () => {
    if (open.length > 0) texts.push(open.join(joiner));
    open = [];
    openBytes = 0;
  };
  for (const paragraph of paragraphs.flatMap(splitLong)) {
    const bytes = Buffer.byteLength(paragraph) + joiner.length;
    if (openBytes + bytes > MAX_BYTES) close();
    open.push(paragraph);
    openBytes += bytes;
    if (openBytes >= TARGET_BYTES) close();
  }
  close();
  const last = texts.at(-1);
  if (last !== undefined && Buffer.byteLength(last) < MIN_BYTES) {
    texts.pop();
    const before = texts.pop();
    if (before !== undefined) texts.push(before + joiner + last);
  }
  return texts.map((text) => ({ lang, source, text }));
}

/** Pieces of at most TARGET bytes of a paragraph that would not fit: at line ends, else at sentence ends. */
function splitLong(paragraph: string): string[] {
  if (Buffer.byteLength(paragraph) <= TARGET_BYTES) return [paragraph];
  const separator = paragraph.includes('\n') ? '\n' : ' ';
  const parts = separator === '\n' ? paragraph.split('\n') : sentences(paragraph);
  const pieces: string[] = [];
  let piece = '';
  for (const part of parts) {
    const longer = piece === '' ? part : piece + separator + part;
    if (piece !== '' && Buffer.byteLength(longer) > TARGET_BYTES) {
      pieces.push(piece);
      piece = part;
    } else piece = longer;
  }
  return [...pieces, piece];
}

/** English sentences of a running text. */
export function sentences(text: string): string[] {
  return text.split(/(?<=[.!?]["')]?) +(?=[A-Z"'(])/);
}

/** Blocks between blank lines, trailing white space gone. */
export function blocks(text: string): string[] {
  return normalised(text).split(/\n{2,}/).filter((block) => block.trim() !== '');
}

/** Paragraphs of an HTML page or fragment. */
export function htmlParagraphs(html: string): string[] {
  const text = html
    .replace(/<!--[^]*?-->|<head>[^]*?<\/head>/g, '')
    .replace(/\s+/g, ' ')
    .replace(/<\/?(?:p|h\d|dl|dt|dd|ul|ol|li|div|table|tr|td|pre|script|header|article|section|body|html|br)\b[^>]*>/gi, '\n')
    .replace(/<[^>]*>/g, '');
  return decodeEntities(text).split('\n').map((line) => line.trim()).filter((line) => line !== '');
}

/** Prose of a Markdown text; its code and comments too, for they belong to it. */
export function markdownBlocks(markdown: string): string[] {
  return blocks(markdown.replace(/<!--[^]*?-->/g, '')).map(withoutLinks);
}

/** A message without what only a program reads: icons, mnemonics, link targets, tags that are not quoted. */
export function cleanMessage(message: string): string {
  return normalised(withoutLinks(message))
    .replace(/\$\([a-z-]+(?:~spin)?\) ?/g, '')
    .replace(/\(&&\w\)|&&/g, '')
    .replace(/<keybinding:[^>]*>/g, '')
    .replace(/(?<!`)<\/?(?:a|b|i|p|br|code|em|strong|ul|li|span|div|h\d|kbd|pre)\b[^>]*>(?!`)/gi, '')
    .replace(/\n{2,}/g, '\n')
    .trim();
}

/** Whether a message says something: long enough for its script, and not mostly placeholders. */
export function isSentence(message: string, lang: string): boolean {
  const minChars = ['ja', 'zh', 'ko'].includes(lang) ? 12 : 30;
  const placeholders = message.match(/\{[^{}]*\}/g)?.length ?? 0;
  return message.length >= minChars && placeholders <= 2;
}

/**
 * The messages of each language that are its own: what reads the same in two languages is a name or was left
 * untranslated, and what was in `seen` before is not repeated.
 */
export function ownMessages(byLang: Readonly<Record<string, readonly string[]>>, seen: Set<string>): Record<string, string[]> {
  const languages = new Map<string, number>();
  for (const messages of Object.values(byLang)) for (const message of new Set(messages)) languages.set(message, (languages.get(message) ?? 0) + 1);
  const own = (messages: readonly string[]) =>
    messages.filter((message) => {
      if ((languages.get(message) ?? 0) > 1 || seen.has(message)) return false;
      seen.add(message);
      return true;
    });
  return Object.fromEntries(Object.entries(byLang).map(([lang, messages]) => [lang, own(messages)]));
}

function withoutLinks(text: string): string {
  return text.replace(/!?\[([^\]\n]+)\]\([^)\n]*\)/g, '$1');
}

function normalised(text: string): string {
  return text.replaceAll('\r\n', '\n').replaceAll('\ufeff', '').replace(/[ \t]+$/gm, '').trim();
}

const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: ' ' };

function decodeEntities(text: string): string {
  return text.replace(/&(#x[0-9a-f]+|#\d+|[a-z]+);/gi, (whole, name: string) => {
    if (/^#x/i.test(name)) return String.fromCodePoint(Number.parseInt(name.slice(2), 16));
    if (name.startsWith('#')) return String.fromCodePoint(Number.parseInt(name.slice(1), 10));
    return entities[name.toLowerCase()] ?? whole;
  });
}
