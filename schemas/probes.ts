// Probes (SPEC §7): what a person would ask of a run's features ("is there one for German?"), as predicates on tokens in
// context. A predicate is data, never code: it travels in configurations, is part of the key, and runs anywhere.
import { z } from 'zod';

const strings = z.array(z.string().min(1)).min(1);
/** Compiles with the flags u and g, and i where asked for. */
const pattern = z.string().min(1).refine((source) => compiles(source), 'not a regular expression of JavaScript with the flag u');

/** Holds or does not hold on a token. `not` turns it round. */
const not = z.boolean().default(false);
export const condition = z.discriminatedUnion('kind', [
  /** Of a Unicode script, by the names of \p{Script=…}: the token holds such a character, or a part of one. */
  z.strictObject({ kind: z.literal('script'), not, scripts: z.array(z.string().regex(/^\w+$/).refine((name) => compiles(`\\p{Script=${name}}`), 'not the name of a Unicode script, such as Han or Cyrillic')).min(1) }),
  /** The document's text matches: all tokens that a match touches. Look-around sees the whole document. */
  z.strictObject({ kind: z.literal('pattern'), not, pattern, ignoreCase: z.boolean().default(false) }),
  /** One of these strings is in the document's text: all tokens that it touches. */
  z.strictObject({ kind: z.literal('text'), not, strings }),
  /** The token itself matches, its bytes as UTF-8. */
  z.strictObject({ kind: z.literal('tokenPattern'), not, pattern, ignoreCase: z.boolean().default(false) }),
  /** The token is one of these, a space before it included. */
  z.strictObject({ kind: z.literal('token'), not, strings }),
  /** The document is of one of these languages, as the corpus names them. */
  z.strictObject({ kind: z.literal('language'), not, languages: strings }),
]);
export type Condition = z.infer<typeof condition>;

export const probe = z.strictObject({
  name: z.string().min(1).max(60),
  description: z.string().default(''),
  /** All must hold. */
  where: z.array(condition).min(1),
});
export type Probe = z.infer<typeof probe>;

/** What a person writes. */
type ProbeInput = z.input<typeof probe>;

/** The probes of SPEC §7: features that the reference work found, and a few as plain as a token. */
export const defaultProbes: ProbeInput[] = [
  { name: 'German', description: 'Tokens of German documents.', where: [{ kind: 'language', languages: ['de', 'deu', 'german'] }] },
  { name: 'French', description: 'Tokens of French documents.', where: [{ kind: 'language', languages: ['fr', 'fra', 'french'] }] },
  { name: 'Scandinavian', description: 'Tokens of Danish, Norwegian and Swedish documents.', where: [{ kind: 'language', languages: ['da', 'no', 'nb', 'nn', 'sv'] }] },
  { name: 'Japanese', description: 'Kana, or parts of them; kanji are Chinese as well.', where: [{ kind: 'script', scripts: ['Hiragana', 'Katakana'] }] },
  { name: 'Hebrew', description: 'Letters of the Hebrew script, or parts of them.', where: [{ kind: 'script', scripts: ['Hebrew'] }] },
  { name: 'Cyrillic vowels', description: 'Tokens with а, е, ё, и, о, у, ы, э, ю or я.', where: [{ kind: 'pattern', pattern: '[аеёиоуыэюя]', ignoreCase: true }] },
  { name: '“at” inside words', description: 'The token “at” after a letter, as in “platform”.', where: [{ kind: 'token', strings: ['at'] }, { kind: 'pattern', pattern: '(?<=\\p{L})at' }] },
  { name: '“much”', description: 'The word “much”.', where: [{ kind: 'pattern', pattern: '(?<!\\p{L})much(?!\\p{L})', ignoreCase: true }] },
  { name: '“when”', description: 'The word “when”.', where: [{ kind: 'pattern', pattern: '(?<!\\p{L})when(?!\\p{L})', ignoreCase: true }] },
  { name: '“&”', description: 'Tokens with an ampersand.', where: [{ kind: 'tokenPattern', pattern: '&' }] },
  { name: '“)”', description: 'Tokens with a closing parenthesis.', where: [{ kind: 'tokenPattern', pattern: '\\)' }] },
  { name: 'sports leagues', description: 'Names of leagues: NFL, NBA, MLB, NHL, Premier League, Bundesliga, La Liga, Serie A …', where: [{ kind: 'pattern', pattern: '\\b(?:NFL|NBA|MLB|NHL|MLS|WNBA|UEFA|FIFA|NCAA|Premier League|Champions League|Bundesliga|La Liga|Serie A|Ligue 1)\\b' }] },
  {
    name: 'Gregorian dates',
    description: 'Dates with a year: 2 May 1997, May 2, 1997, 1997-05-02.',
    where: [
      {
        kind: 'pattern',
        pattern:
          '\\b(?:\\d{1,2}(?:st|nd|rd|th)? )?(?:January|February|March|April|May|June|July|August|September|October|November|December)(?: \\d{1,2}(?:st|nd|rd|th)?)?,? (?:1[5-9]|20)\\d{2}\\b|\\b(?:1[5-9]|20)\\d{2}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\\d|3[01])\\b',
      },
    ],
  },
  { name: '“v” in video URLs', description: 'The parameter v in the address of a video, as in watch?v=….', where: [{ kind: 'pattern', pattern: '(?<=watch\\?(?:[^\\s"\']{0,40}&)?)v(?==)|(?<=youtube\\.com/)v(?=/)' }] },
  { name: 'programming code', description: 'Tokens of documents that are code.', where: [{ kind: 'language', languages: ['code', 'c', 'c++', 'cpp', 'css', 'java', 'javascript', 'js', 'php', 'py', 'python', 'rust', 'scss', 'typescript', 'ts'] }] },
  { name: 'LaTeX', description: 'Commands and formulas: \\frac{, \\begin{equation}, $x_i$.', where: [{ kind: 'pattern', pattern: '\\\\(?:begin|end|frac|left|right|mathbb|mathcal|mathrm|sum|int|alpha|beta|gamma|lambda|partial|infty|text|cite|ref|label|section|emph)\\b\\s?(?:\\{[^{}\\n]{0,40}\\})?|\\$[^$\\n]{0,80}[\\\\_^][^$\\n]{0,80}\\$' }] },
  { name: 'Donald Trump', description: 'A person’s name.', where: [{ kind: 'pattern', pattern: '\\b(?:Donald (?:J\\. )?)?Trump\\b|\\bDonald(?= (?:J\\. )?Trump\\b)' }] },
];

function compiles(source: string): boolean {
  try {
    new RegExp(source, 'u');
    return true;
  } catch {
    return false;
  }
}
