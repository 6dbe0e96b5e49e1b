// Lines of a corpus that are no documents. None passes silently: they are counted, the first ones are kept with file,
// line, reason and how they begin, and above the share that the configuration allows they refuse the shard.
import { MAX_BAD_LINES, type BadLine } from '../schemas/artifact.ts';
import { UserError } from '../schemas/errors.ts';

const BEGINNING_CHARACTERS = 200;
const TOLD = 5;

/** What is wrong with a line, and how it begins. */
export interface Flaw {
  readonly reason: string;
  /** Its first 200 characters; what can't be shown is escaped. */
  readonly beginning: string;
}

export interface BadLineCount {
  /** Good ones. */
  documents: number;
  /** Documents without a single character: passed over. */
  empty: number;
  bad: number;
  /** The first bad lines, in reading order. */
  samples: BadLine[];
}

export function flawOf(reason: string, content: unknown): Flaw {
  return { reason, beginning: beginningOf(content) };
}

export function noteBadLine(stats: BadLineCount, file: string, line: number, { reason, beginning }: Flaw): void {
  stats.bad++;
  if (stats.samples.length < MAX_BAD_LINES) stats.samples.push({ file, line, reason, beginning });
}

/** Throws UserError if more than `maxBadFraction` of what was read is bad. */
export function refuseIfBad({ documents, empty, bad, samples }: BadLineCount, maxBadFraction: number): void {
  const total = documents + empty + bad;
  if (bad === 0 || bad / total <= maxBadFraction) return;
  const told = samples.slice(0, TOLD).map(({ file, line, reason }) => `  ${file}:${line}: ${reason}`);
  throw new UserError(
    `${bad} of ${total} lines are bad, more than corpus.maxBadFraction ${maxBadFraction} allows:\n${told.join('\n')}`,
    `Mend or delete these lines, or let them be left out: corpus.maxBadFraction ${Number((bad / total).toPrecision(2))} or a little more. If the text is in another field, name it in corpus.textField.`,
  );
}

function beginningOf(content: unknown): string {
  const text = content instanceof Uint8Array ? asciiOf(content) : typeof content === 'string' ? content : toJson(content);
  // Whole characters; and nothing that would move a terminal's cursor, turn the writing direction or break the line.
  const characters = [...text.slice(0, 2 * BEGINNING_CHARACTERS)].slice(0, BEGINNING_CHARACTERS);
  return characters.join('').replace(/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/gu, (character) => `\\u{${(character.codePointAt(0) as number).toString(16)}}`);
}

/** Bytes that are no UTF-8: those of ASCII as they are, others as \xE9. */
function asciiOf(bytes: Uint8Array): string {
  return Array.from(bytes.subarray(0, BEGINNING_CHARACTERS), (byte) => (byte < 0x80 ? String.fromCharCode(byte) : `\\x${byte.toString(16).toUpperCase()}`)).join('');
}

function toJson(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) => (typeof inner === 'bigint' ? String(inner) : inner instanceof Uint8Array ? asciiOf(inner) : inner)) ?? String(value);
}
