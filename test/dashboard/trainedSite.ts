// A whole site as a run leaves it: every stage at the shapes of the tiny preset, really trained, and published with its page
// and report. So that the page is tried on what is exported, and its model on weights that were learnt.
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { publishRun } from '../../activities/publishRun.ts';
import { textList, textPage, type TextList, type TextPage } from '../../schemas/dashboard.ts';
import { runPipeline } from '../../stages/inProcess.ts';
import { tinyCorpus, TinyInputs } from '../stages/tinyInputs.ts';

export interface TrainedSite {
  inputs: TinyInputs;
  /** Key of the dashboard in the store of `inputs`, and its site there. */
  dashboard: string;
  site: string;
  list: TextList;
  pages: TextPage[];
}

/** Makes the run. */
export async function makeTrainedSite(): Promise<TrainedSite> {
  const inputs = await TinyInputs.make();
  const { store, config } = inputs;
  const stages = await runPipeline(store, config, tinyCorpus);
  const changes = { previous: null, nothingNew: false, summary: 'the first', saes: [] };
  await publishRun(store, { run: 'tiny', configHash: 'a'.repeat(64), config, stages, workflowId: 'saeflow/tiny', finishedAt: new Date(0).toISOString(), changes });
  const { artifact } = stages.find((result) => result.artifact.stage === 'exportDashboard')!;
  const site = `exportDashboard/${artifact.key}/site`;
  const json = async (path: string): Promise<unknown> => JSON.parse(Buffer.from(await store.get(`${site}/data/texts/${path}`)).toString());
  const list = textList.parse(await json('index.json'));
  const pages = await Promise.all(list.map(async ({ file }) => textPage.parse(await json(file))));
  return { inputs, dashboard: artifact.key, site, list, pages };
}

/** Copies a site out of its store, for a static host. */
export async function copySite({ inputs: { store }, site }: TrainedSite, folder: string): Promise<void> {
  for (const { path } of await store.list(`${site}/`)) {
    const copy = join(folder, path.slice(site.length + 1));
    await mkdir(dirname(copy), { recursive: true });
    await writeFile(copy, await store.get(path));
  }
}
