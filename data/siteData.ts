// A dashboard's data read back from a store, each file checked against the contract: for those who make something else of it.
import type { z } from 'zod';
import { featureChunk, featureIndex, featuresPerChunk, runPage, textList, textPage, vocabulary, type FeatureIndex, type FeaturePage, type RunPage, type TextPage, type Vocabulary } from '../schemas/dashboard.ts';
import { UserError } from '../schemas/errors.ts';
import { NotFoundError, type ArtifactStore } from './artifactStore.ts';

export interface SiteData {
  run(): Promise<RunPage>;
  index(): Promise<FeatureIndex>;
  vocabulary(): Promise<Vocabulary>;
  /** Features of one file, [8·n, 8·n + 8). */
  chunk(number: number): Promise<FeaturePage[]>;
  page(feature: number): Promise<FeaturePage>;
  /** The example texts; none where the dashboard has none. */
  texts(): Promise<TextPage[]>;
}

/** The site at `site`, such as `exportDashboard/<key>/site`. Methods throw UserError for files of another version. */
export function readSiteData(store: ArtifactStore, site: string): SiteData {
  const json = async <T>(path: string, schema: z.ZodType<T>) => parsed(`${store.uri}/${site}/data/${path}`, schema, await store.get(`${site}/data/${path}`));
  const numbered = (folder: string, index: number) => `${folder}/${String(index).padStart(5, '0')}.json`;
  const chunk = (number: number) => json(numbered('features', number), featureChunk);
  return {
    run: () => json('run.json', runPage),
    index: () => json('index.json', featureIndex),
    vocabulary: () => json('vocabulary.json', vocabulary),
    chunk,
    async page(feature) {
      const found = (await chunk(Math.floor(feature / featuresPerChunk))).find((page) => page.feature === feature);
      if (found === undefined) throw new UserError(`${store.uri}/${site} has no feature ${feature}`, 'saeflow report says how many features an SAE has; they are counted from 0.');
      return found;
    },
    async texts() {
      const list = await json('texts/index.json', textList).catch((error: unknown) => {
        if (error instanceof NotFoundError) return [];
        throw error;
      });
      return Promise.all(list.map(({ file }) => json(`texts/${file}`, textPage)));
    },
  };
}

function parsed<T>(name: string, schema: z.ZodType<T>, bytes: Uint8Array): T {
  const result = schema.safeParse(JSON.parse(Buffer.from(bytes).toString()));
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new UserError(`${name} is not as this version writes it: ${issue?.path.join('.')}: ${issue?.message}`, 'Run the same configuration again: only the dashboard is made anew.');
}
