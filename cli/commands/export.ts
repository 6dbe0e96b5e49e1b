// `saeflow export`: a run's dashboard in the formats of SAEDashboard and Neuronpedia.
import { Command, Option } from 'commander';
import { resolve } from 'node:path';
import { openStore } from '../../data/artifactStore.ts';
import { exchangeFiles, exchangeFormats, type ExchangeFormat } from '../../data/exchangeFiles.ts';
import { UserError } from '../../schemas/errors.ts';
import { formatBytes } from '../../schemas/format.ts';
import { findReport } from '../reports.ts';
import { sitePath } from '../site.ts';
import { storeUri } from '../state.ts';
import { addExamples, addStoreOption } from './options.ts';

interface Options {
  format: ExchangeFormat;
  out: string;
  sae?: string;
  modelId?: string;
  set?: string;
  creator: string;
  creatorId: string;
  store?: string;
}

const goodId = /^[a-z0-9_-]{1,128}$/;

export function exportCommand(): Command {
  const command = new Command('export')
    .description("a run's features for others: SAEDashboard's batch files, or Neuronpedia's bulk import with ablations")
    .argument('[run]', 'a name, name/hash or workflow id (default: the newest)')
    .addOption(new Option('--format <format>', 'what to write').choices(exchangeFormats).makeOptionMandatory())
    .requiredOption('--out <folder or s3://…>', 'where to write it')
    .option('--sae <name>', 'which SAE, where a run has several')
    .option('--model-id <id>', "the model's id there (default: the run's name)")
    .option('--set <name>', "the SAE's source set there (default: saeflow-<SAE>)")
    .option('--creator <name>', 'whose it is, as Neuronpedia shows it', 'saeflow')
    .option('--creator-id <id>', 'id of a user of that Neuronpedia', 'saeflow');
  addStoreOption(command);
  addExamples(command, 'export demo --format saedashboard --out dashboards', 'export demo --format neuronpedia --out exports --model-id my-model --creator-id clkht01d40000jv08hvalcvly');
  return command.action(async (run: string | undefined, { format, out, sae, modelId, set, creator, creatorId, store }: Options) => {
    const uri = storeUri(store);
    const { report } = await findReport(uri, run);
    const site = sitePath(report, sae);
    const name = report.dashboards.find((one) => one.site === site)!.sae;
    const options = { modelId: requireId('--model-id', modelId ?? slug(report.run)), setName: requireId('--set', set ?? `saeflow-${slug(name)}`), creatorName: creator, creatorId };
    const target = openStore(out.startsWith('s3://') ? out : resolve(out));
    let [files, bytes] = [0, 0];
    for await (const file of exchangeFiles(openStore(uri), site, format, report, options)) {
      await target.put(file.path, file.bytes);
      files++;
      bytes += file.bytes.length;
    }
    console.log(`${format} of ${report.run} (${name}): ${files} files, ${formatBytes(bytes)}, in ${target.uri}`);
  });
}

function slug(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9_-]+/g, '-').replace(/^-+|-+$/g, '') || 'sae';
}

function requireId(option: string, id: string): string {
  if (goodId.test(id)) return id;
  throw new UserError(`${option} ${id}: not an id that Neuronpedia takes`, 'Use a–z, 0–9, - and _ only.');
}
