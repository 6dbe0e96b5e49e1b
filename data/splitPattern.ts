// A split pattern of a tokenizer.json (Oniguruma's regular expressions, as Hugging Face's tokenizers run them) as a
// JavaScript one that gives the same pieces. Classes are spelled out, so that the engine's Unicode version has no say;
// what can't be expressed exactly is refused.
import { UserError } from '../schemas/errors.ts';
import { categoryRanges, complement, whiteSpace, type Range } from './characterClasses.ts';

/**
 * The pattern as a global, Unicode regular expression.
 *
 * @param field where the pattern stands, for errors.
 * @throws UserError naming what in it has no exact counterpart.
 */
export function splitPattern(pattern: string, field: string): RegExp {
  const source = new PatternReader(pattern, field).read();
  return new RegExp(source, 'gu');
}

/** Letters that another character equals when case is ignored, beside their own two. */
const foldedTo: Readonly<Record<string, string>> = { s: 'ſ', k: '\u212a' };
/** Pairs of letters that one character equals when case is ignored: ß, ﬆ, ﬀ, ﬁ, ﬂ. */
const foldedPairs = /s[st]|f[fil]/i;

class PatternReader {
  private at = 0;
  /** Capturing groups written so far: what is possessive needs one. */
  private groups = 0;
  private ignoreCase = false;
  private readonly characters: string[];

  constructor(
    private readonly pattern: string,
    private readonly field: string,
  ) {
    this.characters = [...pattern];
  }

  read(): string {
    const source = this.alternatives();
    if (this.at < this.characters.length) throw this.refusal(`"${this.peek()}" at character ${this.at}`);
    return source;
  }

  private alternatives(): string {
    let source = this.sequence();
    while (this.take('|')) source += `|${this.sequence()}`;
    return source;
  }

  private sequence(): string {
    let source = '';
    let letters = '';
    while (this.at < this.characters.length && this.peek() !== '|' && this.peek() !== ')') {
      const before = this.at;
      const groupsBefore = this.groups;
      const atom = this.atom();
      letters += this.at - before === 1 ? this.characters[before]! : ' ';
      if (this.ignoreCase && foldedPairs.test(letters)) throw this.refusal(`"${letters.trim()}" where case is ignored`);
      source += this.quantified(atom, groupsBefore);
    }
    return source;
  }

  private quantified(atom: string, groupsBefore: number): string {
    const quantifier = this.quantifier();
    if (quantifier === '') return atom;
    const braces = quantifier.startsWith('{');
    if (braces && (this.peek() === '?' || this.peek() === '+')) throw this.refusal(`"${quantifier}${this.peek()}"`);
    if (this.take('?')) return `${atom}${quantifier}?`;
    if (!this.take('+')) return `${atom}${quantifier}`;
    // What a look-ahead has matched is not tried in another way.
    if (this.groups > groupsBefore) throw this.refusal('a possessive quantifier within another');
    this.groups++;
    return `(?:(?=(${atom}${quantifier}))\\${this.groups})`;
  }

  private quantifier(): string {
    const sign = this.peek();
    if (sign === '*' || sign === '+' || sign === '?') {
      this.at++;
      return sign;
    }
    if (sign !== '{') return '';
    const [braces] = /^\{\d+(,\d*)?\}/.exec(this.rest()) ?? [];
    if (braces === undefined) throw this.refusal(`"${this.rest().slice(0, 6)}"`);
    this.at += braces.length;
    return braces;
  }

  private atom(): string {
    const character = this.next();
    switch (character) {
      case '(':
        return this.group();
      case '[':
        return this.characterClass();
      case '\\':
        return classOf(this.escape());
      case '.':
        return '[^\\n]';
      case '^':
      case '$':
      case '*':
      case '+':
      case '?':
        throw this.refusal(`"${character}" at character ${this.at - 1}`);
      default:
        return classOf(this.ignoreCase ? this.bothCases(character) : [single(character)]);
    }
  }

  private group(): string {
    const kind = ['?:', '?=', '?!', '?i:'].find((prefix) => this.rest().startsWith(prefix));
    if (kind === undefined && this.peek() === '?') throw this.refusal(`"(${this.rest().slice(0, 3)}"`);
    this.at += kind?.length ?? 0;
    const outer = this.ignoreCase;
    if (kind === '?i:') this.ignoreCase = true;
    const inner = this.alternatives();
    this.ignoreCase = outer;
    if (!this.take(')')) throw this.refusal('a group without its ")"');
    return `(${kind === '?=' || kind === '?!' ? kind : '?:'}${inner})`;
  }

  private characterClass(): string {
    if (this.ignoreCase) throw this.refusal('"[" where case is ignored');
    const negated = this.take('^');
    const ranges: Range[] = [];
    for (let first = true; first || this.peek() !== ']'; first = false) {
      if (this.at >= this.characters.length) throw this.refusal('a class without its "]"');
      if (this.peek() === '[' || this.rest().startsWith('&&')) throw this.refusal(`"${this.rest().slice(0, 2)}" in a class`);
      ranges.push(...this.classMember());
    }
    this.at++;
    return classOf(ranges, negated);
  }

  private classMember(): Range[] {
    const from = this.classCharacter();
    if (this.peek() !== '-' || this.characters[this.at + 1] === ']') return from;
    this.at++;
    const to = this.classCharacter();
    const [first, last] = [from[0]![0], to[0]![1]];
    if (from.length > 1 || to.length > 1 || from[0]![1] !== first || to[0]![0] !== last || first > last) throw this.refusal('a range in a class');
    return [[first, last]];
  }

  private classCharacter(): Range[] {
    const character = this.next();
    return character === '\\' ? this.escape() : [single(character)];
  }

  private escape(): Range[] {
    const letter = this.next();
    switch (letter) {
      case 's':
        return [...whiteSpace];
      case 'S':
        return complement(whiteSpace);
      case 'd':
        return categoryRanges('Nd')!;
      case 'D':
        return complement(categoryRanges('Nd')!);
      case 'p':
        return this.property();
      case 'P':
        return complement(this.property());
      case 'r':
        return [single('\r')];
      case 'n':
        return [single('\n')];
      case 't':
        return [single('\t')];
      default:
        if (/[0-9A-Za-z]/.test(letter)) throw this.refusal(`"\\${letter}"`);
        return [single(letter)];
    }
  }

  private property(): Range[] {
    const [braces, negation, name] = /^\{(\^?)([A-Za-z_ ]+)\}/.exec(this.rest()) ?? [];
    const ranges = name === undefined ? undefined : categoryRanges(name);
    if (braces === undefined || ranges === undefined) throw this.refusal(`"\\p${this.rest().slice(0, 12)}": of properties only general categories are known`);
    this.at += braces.length;
    return negation === '^' ? complement(ranges) : ranges;
  }

  private bothCases(character: string): Range[] {
    if (character.codePointAt(0)! > 0x7f) throw this.refusal(`"${character}" where case is ignored`);
    const lower = character.toLowerCase();
    const same = [...new Set([character.toUpperCase(), lower, ...(foldedTo[lower] ?? '')])];
    return same.map(single);
  }

  private peek(): string | undefined {
    return this.characters[this.at];
  }

  private next(): string {
    const character = this.characters[this.at++];
    if (character === undefined) throw this.refusal('its end');
    return character;
  }

  private take(character: string): boolean {
    if (this.peek() !== character) return false;
    this.at++;
    return true;
  }

  private rest(): string {
    return this.characters.slice(this.at, this.at + 24).join('');
  }

  private refusal(what: string): UserError {
    return new UserError(`${this.field}: ${what} in ${JSON.stringify(this.pattern)} has no exact counterpart here`, 'Use a tokenizer with a split pattern of literals, classes, general categories, groups and look-aheads, such as those of GPT-2, Llama 3 or Qwen.');
  }
}

function single(character: string): Range {
  const code = character.codePointAt(0)!;
  return [code, code];
}

function classOf(ranges: readonly Range[], negated = false): string {
  const spelled = ranges.map(([first, last]) => (first === last ? spell(first) : `${spell(first)}-${spell(last)}`)).join('');
  return ranges.length === 1 && ranges[0]![0] === ranges[0]![1] && !negated ? spelled : `[${negated ? '^' : ''}${spelled}]`;
}

function spell(code: number): string {
  return `\\u{${code.toString(16)}}`;
}
