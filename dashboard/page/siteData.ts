// Reads the files under data/ once each, and turns what can go wrong into sentences: which file, why, what to do.
import type { FeatureIndex, FeaturePage, RunPage, SiteModel, TextList, TextPage, Vocabulary } from '../../schemas/dashboard.ts';

/** Put in by buildPage from schemas/dashboard.ts. */
declare const FEATURES_PER_CHUNK: number;

/** Chunks kept in memory: enough to leaf back and forth, small beside the index. */
const chunksKept = 32;

/** A file of the site that could not be read. */
export class DataError extends Error {
  override readonly name = 'DataError';
  readonly remedy: string;
  readonly title: string;

  constructor(message: string, remedy: string, title = 'Data missing') {
    super(message);
    this.remedy = remedy;
    this.title = title;
  }
}

export class SiteData {
  readonly #files = new Map<string, Promise<unknown>>();
  readonly #chunks = new Map<string, Promise<unknown>>();

  async index(): Promise<FeatureIndex> {
    const index = (await this.#once('data/index.json')) as FeatureIndex;
    for (const column of ['density', 'maxActivation', 'topToken', 'topLang', 'topLangShare', 'topExamples'] as const) {
      if (index[column]?.length !== index.features) {
        throw new DataError(`data/index.json: column ${column} has ${index[column]?.length ?? 0} entries for ${index.features} features`, exportAgain);
      }
    }
    return index;
  }

  vocabulary(): Promise<Vocabulary> {
    return this.#once('data/vocabulary.json') as Promise<Vocabulary>;
  }

  run(): Promise<RunPage> {
    return this.#once('data/run.json') as Promise<RunPage>;
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

async function readJson(file: string): Promise<unknown> {
  let response: Response;
  try {
    response = await fetch(file);
  } catch (error) {
    throw location.protocol === 'file:'
      ? new DataError(`${file}: browsers do not let a page opened from disk read files`, 'Open the dashboard with `saeflow open`, or put its folder on any static web server.')
      : new DataError(`${file}: ${error instanceof Error ? error.message : String(error)}`, 'The server no longer answers: start it again (`saeflow open`) and reload.');
  }
  if (!response.ok) {
    throw new DataError(`${file}: ${response.status} ${response.statusText}`, 'Copy the whole site folder, data/ included, beside index.html, or run the exportDashboard stage again.');
  }
  try {
    return await response.json();
  } catch {
    throw new DataError(`${file}: not JSON`, exportAgain);
  }
}
