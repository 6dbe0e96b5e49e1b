// The reader's stars and comments, kept in the browser under the key of the run's SAE, and carried elsewhere as a JSON
// file. Two readers' files merge: what is imported replaces notes on the same features and leaves the others.
import { DataError } from './siteData.ts';
import { remember, remembered } from './settings.ts';

export interface Note {
  starred: boolean;
  comment: string;
}

const format = 'saeflow-notes-1';
const noNote: Note = { starred: false, comment: '' };

export class Notes {
  readonly #key: string;
  readonly #features: number;
  #notes: Map<number, Note>;

  /** @param key of the SAE whose features the notes are on. */
  constructor(key: string, features: number) {
    this.#key = key;
    this.#features = features;
    this.#notes = this.#kept();
  }

  of(feature: number): Note {
    return this.#notes.get(feature) ?? noNote;
  }

  set(feature: number, change: Partial<Note>): void {
    // another tab may have changed its own features' notes since
    this.#notes = this.#kept();
    const note = { ...this.of(feature), ...change };
    if (note.starred || note.comment !== '') this.#notes.set(feature, note);
    else this.#notes.delete(feature);
    this.#keep();
  }

  /** All notes as the text of a file. */
  export(): string {
    return `${JSON.stringify({ format, run: this.#key, notes: this.#sorted() }, null, 2)}\n`;
  }

  /**
   * Adds the notes of a file that {@link export} made.
   *
   * @returns how many there were.
   * @throws DataError when it is not such a file, or one of another run.
   */
  import(text: string): number {
    const run = runOf(text);
    const entries = entriesOf(text, this.#features);
    if (run === undefined || entries === undefined) throw new DataError('This is not a file of notes', 'Choose one that was saved by “Export notes” on this page.');
    if (run !== this.#key) throw new DataError(`These notes are on another SAE (${run.slice(0, 12)}…)`, 'Features of different SAEs have different meanings: open the dashboard of that run.');
    this.#notes = this.#kept();
    for (const [feature, note] of entries) this.#notes.set(feature, note);
    this.#keep();
    return entries.length;
  }

  #sorted(): ({ feature: number } & Note)[] {
    return [...this.#notes].sort(([a], [b]) => a - b).map(([feature, note]) => ({ feature, ...note }));
  }

  #kept(): Map<number, Note> {
    return new Map(entriesOf(remembered(`notes:${this.#key}`) ?? '', this.#features) ?? []);
  }

  #keep(): void {
    remember(`notes:${this.#key}`, this.export());
  }
}

function runOf(text: string): string | undefined {
  const file = parsed(text);
  return typeof file === 'object' && file !== null && 'run' in file && typeof file.run === 'string' ? file.run : undefined;
}

/** The entries of a file of notes; undefined if any is not one. */
function entriesOf(text: string, features: number): [number, Note][] | undefined {
  const file = parsed(text);
  if (typeof file !== 'object' || file === null || !('format' in file) || file.format !== format || !('notes' in file) || !Array.isArray(file.notes)) return undefined;
  const entries = file.notes.map((entry: unknown) => entryOf(entry, features));
  return entries.some((entry) => entry === undefined) ? undefined : (entries as [number, Note][]);
}

function entryOf(entry: unknown, features: number): [number, Note] | undefined {
  if (typeof entry !== 'object' || entry === null || !('feature' in entry) || !('starred' in entry) || !('comment' in entry)) return undefined;
  const { feature, starred, comment } = entry;
  if (typeof feature !== 'number' || !Number.isInteger(feature) || feature < 0 || feature >= features) return undefined;
  return typeof starred === 'boolean' && typeof comment === 'string' ? [feature, { starred, comment }] : undefined;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
