// Reads the files under data/ once each, and turns what can go wrong into sentences: which file, why, what to do.
import type { FeatureLabels, FeatureMap, FeaturePage, PackedIndex, ProbesPage, RunPage, SiteModel, TextList, TextPage, Vocabulary } from '../../schemas/dashboard.ts';
import type { Report } from '../../schemas/report.ts';
import { categoriesOf, firstColumns, lateColumns, unpackColumn, type IndexTable, type LateColumn } from './packedColumns.ts';

/** Put in by buildPage from schemas/dashboard.ts. */
declare const FEATURES_PER_CHUNK: number;

/** Chunks kept in memory: enough to leaf back and forth, small beside the index. */
const chunksKept = 32;

/** A file of the site that could not be read. */
export class DataError extends Error {
  override readonly name = 'DataError';
  readonly remedy: string;
  readonly title: string;
  /** The server answered that there is no such file. */
  readonly absent: boolean;

  constructor(message: string, remedy: string, title = 'Data missing', absent = false) {
    super(message);
    this.absent = absent;
    this.remedy = remedy;
    this.title = title;
  }
}

/** Throws DataError unless the run has this feature. */
export function requireFeature(feature: number, features: number): void {
  if (feature >= features) throw new DataError(`There is no feature ${feature}: this run has features 0 to ${features - 1}`, 'Choose one in the table of features.', 'No such feature');
}

export class SiteData {
  readonly #files = new Map<string, Promise<unknown>>();
  readonly #chunks = new Map<string, Promise<unknown>>();
  #index: Promise<IndexTable> | undefined;
  readonly #late = new Map<LateColumn, Promise<ArrayLike<number>>>();

  /** The columns that the table needs to be shown; {@link lateIndex} adds the others to the same object. */
  index(): Promise<IndexTable> {
    this.#index ??= this.#readIndex();
    this.#index.catch(() => (this.#index = undefined));
    return this.#index;
  }

  /** The index with all of its columns. */
  lateIndex(): Promise<IndexTable & Record<LateColumn, ArrayLike<number>>> {
    return this.#indexWith(lateColumns);
  }

  /** The index with the one late column that lists of features need: a small one. */
  probeIndex(): Promise<IndexTable> {
    return this.#indexWith(['probe']);
  }

  async #indexWith<Name extends LateColumn>(names: readonly Name[]): Promise<IndexTable & Record<Name, ArrayLike<number>>> {
    const [index, header] = await Promise.all([this.index(), this.#header()]);
    const columns = await Promise.all(names.map((name) => this.#lateColumn(header, name)));
    const late = Object.fromEntries(names.map((name, position) => [name, columns[position]])) as Record<Name, ArrayLike<number>>;
    return Object.assign(index, late);
  }

  #lateColumn(header: PackedIndex, name: LateColumn): Promise<ArrayLike<number>> {
    const pending = this.#late.get(name) ?? readColumn(header, name);
    this.#late.set(name, pending);
    pending.catch(() => this.#late.delete(name));
    return pending;
  }

  async #readIndex(): Promise<IndexTable> {
    const header = await this.#header();
    const columns = await Promise.all(firstColumns.map((name) => readColumn(header, name)));
    const table = Object.fromEntries(firstColumns.map((name, position) => [name, columns[position]])) as Record<(typeof firstColumns)[number], ArrayLike<number>>;
    return { features: header.features, ...table, topLang: categoriesOf(header.columns.topLang, table.topLang) };
  }

  #header(): Promise<PackedIndex> {
    return this.#once('data/columns/header.json') as Promise<PackedIndex>;
  }

  vocabulary(): Promise<Vocabulary> {
    return this.#once('data/vocabulary.json') as Promise<Vocabulary>;
  }

  run(): Promise<RunPage> {
    return this.#once('data/run.json') as Promise<RunPage>;
  }

  /** The answers to the probes; none where the run has no probes. */
  probes(): Promise<ProbesPage> {
    return this.#once('data/probes.json') as Promise<ProbesPage>;
  }

  map(): Promise<FeatureMap> {
    return this.#once('data/map.json') as Promise<FeatureMap>;
  }

  /** Automatic interpretations; none before `saeflow label` makes some, and in sites of before there was a file to say so. */
  async labels(): Promise<FeatureLabels> {
    return ((await this.#optional('data/labels.json')) as FeatureLabels | undefined) ?? { model: '', labels: [] };
  }

  /** What the run took; publishing a run adds it to the site. */
  report(): Promise<Report | undefined> {
    return this.#optional('report.json') as Promise<Report | undefined>;
  }

  texts(): Promise<TextList> {
    return this.#once('data/texts/index.json') as Promise<TextList>;
  }

  text(file: string): Promise<TextPage> {
    return this.#once(`data/texts/${file}`) as Promise<TextPage>;
  }

  model(): Promise<SiteModel> {
    return this.#once('model/config.json') as Promise<SiteModel>;
  }

  /** One feature's page, from the chunk that holds it. */
  async feature(feature: number): Promise<FeaturePage> {
    const file = chunkFile(feature);
    const pending = this.#chunks.get(file) ?? readJson(file);
    this.#chunks.delete(file);
    this.#chunks.set(file, pending);
    for (const oldest of this.#chunks.keys()) {
      if (this.#chunks.size <= chunksKept) break;
      this.#chunks.delete(oldest);
    }
    pending.catch(() => this.#chunks.delete(file));
    const page = ((await pending) as FeaturePage[]).find((candidate) => candidate.feature === feature);
    if (page === undefined) throw new DataError(`${file}: feature ${feature} is not in it`, exportAgain);
    return page;
  }

  /** A file that an incomplete site can do without. */
  async #optional(file: string): Promise<unknown> {
    try {
      return await this.#once(file);
    } catch (error) {
      if (error instanceof DataError && error.absent) return undefined;
      throw error;
    }
  }

  #once(file: string): Promise<unknown> {
    const known = this.#files.get(file);
    if (known !== undefined) return known;
    const pending = readJson(file);
    this.#files.set(file, pending);
    pending.catch(() => this.#files.delete(file));
    return pending;
  }
}

const exportAgain = 'The file is incomplete or from another version of saeflow: run the exportDashboard stage again.';

/** data/features/00012.json holds features 96–103. */
function chunkFile(feature: number): string {
  return `data/features/${String(Math.floor(feature / FEATURES_PER_CHUNK)).padStart(5, '0')}.json`;
}

async function readColumn(header: PackedIndex, name: keyof PackedIndex['columns']): Promise<ArrayLike<number>> {
  const column = header.columns[name];
  const file = `data/columns/${column.file}`;
  const response = await read(file);
  const bytes = await response.arrayBuffer();
  const numbers = unpackColumn(column, header.features, bytes);
  if (numbers === undefined) throw new DataError(`${file}: ${bytes.byteLength} bytes are not ${header.features} numbers (${column.type})`, exportAgain);
  return numbers;
}

async function readJson(file: string): Promise<unknown> {
  const response = await read(file);
  try {
    return await response.json();
  } catch {
    throw new DataError(`${file}: not JSON`, exportAgain);
  }
}

async function read(file: string): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(file);
  } catch (error) {
    throw location.protocol === 'file:'
      ? new DataError(`${file}: browsers do not let a page opened from disk read files`, 'Open the dashboard with `saeflow open`, or put its folder on any static web server.')
      : new DataError(`${file}: ${error instanceof Error ? error.message : String(error)}`, 'The server no longer answers: start it again (`saeflow open`) and reload.');
  }
  if (!response.ok) {
    throw new DataError(`${file}: ${response.status} ${response.statusText}`, 'Copy the whole site folder, data/ included, beside index.html, or run the exportDashboard stage again.', undefined, response.status === 404);
  }
  return response;
}
