// `saeflow publish`: a run's dashboard written to a folder or bucket, from where any static host serves it.
import { Command } from 'commander';
import { resolve } from 'node:path';
import { openStore, type ArtifactStore } from '../../data/artifactStore.ts';
import { labelsPath } from '../../data/labels.ts';
import { formatBytes, formatCount } from '../../schemas/format.ts';
import { publishSite } from '../publish.ts';
import { findReport } from '../reports.ts';
import { sitePath } from '../site.ts';
import { storeUri } from '../state.ts';
import { addExamples, addStoreOption } from './options.ts';

export function publishCommand(): Command {
  const command = new Command('publish')
    .description("write a run's dashboard to a folder or bucket; what is there already is not sent again")
    .argument('[run]', 'a name, name/hash or workflow id (default: the newest)')
    .requiredOption('--to <folder or s3://…>', 'where to; one dashboard a place')
    .option('--sae <name>', 'which SAE, where a run has several');
  addStoreOption(command);
  addExamples(command, 'publish --to s3://my-bucket/features', 'publish demo --to /srv/www/demo');
  return command.action(async (run: string | undefined, { to, sae, store }: { to: string; sae?: string; store?: string }) => {
    const uri = storeUri(store);
    const { report } = await findReport(uri, run);
    const target = to.startsWith('s3://') ? to : resolve(to);
    const { sent, unchanged, deleted, bytes } = await publishSite(await filesOf(openStore(uri), sitePath(report, sae)), target);
    console.log(`dashboard of ${report.run} in ${target}: ${formatCount(sent)} files sent (${formatBytes(bytes)}), ${formatCount(unchanged)} unchanged, ${formatCount(deleted)} of an earlier one deleted`);
  });
}

/** The site's files, with the labels that were made since. */
async function filesOf(store: ArtifactStore, site: string): Promise<Map<string, () => Promise<Uint8Array>>> {
  const files = new Map((await store.list(`${site}/`)).map(({ path }) => [path.slice(site.length + 1), () => store.get(path)]));
  const labels = labelsPath(site.split('/')[1]!);
  if (await store.exists(labels)) files.set('data/labels.json', () => store.get(labels));
  return files;
}
