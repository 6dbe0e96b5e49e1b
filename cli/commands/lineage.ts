// `saeflow lineage`: what a result was made from, by which code, where and when, down to the files of the corpus; and an
// example on a feature's page, down to the token of a document.
import { Command, InvalidArgumentError } from 'commander';
import { artifactPath } from '../../data/artifact.ts';
import { openStore, type ArtifactStore } from '../../data/artifactStore.ts';
import { exampleLineage, lineageOf, type ExampleLineage, type Lineage, type LineageArtifact } from '../../data/lineage.ts';
import { UserError } from '../../schemas/errors.ts';
import type { ArtifactId } from '../../schemas/stages.ts';
import { findArtifacts } from '../artifacts.ts';
import { formatBytes, formatCount, formatDuration } from '../../schemas/format.ts';
import { findReport } from '../reports.ts';
import { storeUri } from '../state.ts';
import { addExamples, addStoreOption, toCount } from './options.ts';

interface Options {
  feature?: number;
  example: number;
  sae?: string;
  json?: boolean;
  store?: string;
}

const shownFiles = 10;

export function lineageCommand(): Command {
  const command = new Command('lineage')
    .description('what a result was made from: artifacts, code, machine and time, down to the corpus; or one example of a feature, down to its token')
    .argument('[what]', 'a run (name, name/hash, workflow id), or <stage>/<key> (default: the newest run)')
    .option('--feature <n>', 'an example of this feature, counted from 0', toFeature)
    .option('--example <n>', 'which of its top examples, counted from 1', toCount, 1)
    .option('--sae <name>', 'which SAE, where a run has several')
    .option('--json', 'everything, as JSON');
  addStoreOption(command);
  addExamples(command, 'lineage', 'lineage trainSae/3f1c', 'lineage demo --feature 12 --example 3');
  return command.action(async (what: string | undefined, options: Options) => {
    const uri = storeUri(options.store);
    const store = openStore(uri);
    if (options.feature === undefined) {
      const lineage = await lineageOf(store, topmost(await findArtifacts(uri, what)));
      console.log(options.json ? JSON.stringify(lineage, null, 2) : describe(lineage).join('\n'));
      return;
    }
    const dashboard = await dashboardOf(uri, what, options.sae);
    const example = await exampleLineage(store, dashboard, options.feature, options.example);
    const lineage = await lineageOf(store, [dashboard]);
    console.log(options.json ? JSON.stringify({ example, ...lineage }, null, 2) : [...describeExample(example, store), '', ...describe(lineage)].join('\n'));
  });
}

/** The results of a run: what nothing else of it was made from. */
function topmost(artifacts: ArtifactId[]): ArtifactId[] {
  const dashboards = artifacts.filter(({ stage }) => stage === 'exportDashboard');
  return dashboards.length > 0 ? dashboards : artifacts;
}

async function dashboardOf(uri: string, what: string | undefined, sae: string | undefined): Promise<ArtifactId> {
  if (what?.startsWith('exportDashboard/')) return (await findArtifacts(uri, what))[0]!;
  const { report } = await findReport(uri, what);
  const found = report.dashboards.find(({ sae: name }) => sae === undefined || name === sae);
  if (found === undefined) throw new UserError(`run ${report.run} has no SAE ${sae}`, `Use one of: ${report.dashboards.map((one) => one.sae).join(', ')}.`);
  return { stage: 'exportDashboard', key: found.site.split('/')[1]! };
}

function describeExample({ feature, example, examples, activation, token, document, tokens }: ExampleLineage, store: ArtifactStore): string[] {
  return [
    `feature ${feature}, example ${example} of ${examples}: ${activation} on token id ${token}`,
    `  document ${document.id}${document.lang === '' ? '' : ` (${document.lang}${document.source === '' ? '' : `, ${document.source}`})`}: ${document.file} line ${document.line}, its token ${document.offset}`,
    `  token ${formatCount(tokens.index)} of ${store.uri}/${artifactPath(tokens, tokens.path)}`,
  ];
}

function describe({ artifacts, corpora }: Lineage): string[] {
  const shown = new Set<string>();
  const lines: string[] = [];
  const made = new Set(artifacts.flatMap(({ inputs }) => inputs.map(nameOf)));
  for (const root of artifacts.filter((artifact) => !made.has(nameOf(artifact)))) walk(root, '', '');
  return lines;

  function walk(artifact: LineageArtifact, first: string, rest: string): void {
    const again = shown.has(nameOf(artifact));
    shown.add(nameOf(artifact));
    const [head, ...details] = describeArtifact(artifact, again);
    lines.push(first + head!, ...(again ? [] : details.map((line) => rest + line)));
    if (again) return;
    const corpus = corpora.find(({ key }) => key === artifact.corpus);
    // What is itself made from another input is shown first, so that each is shown where it was used.
    const inputs = artifact.inputs.map((input) => artifacts.find((one) => nameOf(one) === nameOf(input))!).sort((a, b) => b.inputs.length - a.inputs.length);
    inputs.forEach((input, index) => {
      const last = index === inputs.length - 1 && corpus === undefined;
      walk(input, rest + (last ? '└─ ' : '├─ '), rest + (last ? '   ' : '│  '));
    });
    if (corpus !== undefined) {
      lines.push(`${rest}└─ corpus/${corpus.key.slice(0, 12)}  ${corpus.files.length === 0 ? 'the list of its files is not in the store' : `${corpus.files.length} files, ${formatBytes(corpus.files.reduce((sum, { bytes }) => sum + bytes, 0))}`}`);
      for (const { name, bytes, sha256 } of corpus.files.slice(0, shownFiles)) lines.push(`${rest}      ${name}  ${formatBytes(bytes)}  SHA-256 ${sha256.slice(0, 12)}`);
      if (corpus.files.length > shownFiles) lines.push(`${rest}      and ${corpus.files.length - shownFiles} more (--json names them all)`);
    }
  }
}

function describeArtifact({ stage, key, found, bytes, files, skippedShards, provenance }: LineageArtifact, again: boolean): string[] {
  const name = `${stage}/${key.slice(0, 12)}`;
  if (again) return [`${name}  as above`];
  if (!found || provenance === undefined) return [`${name}  not in this store: deleted, or never finished`];
  const { codeVersion, machine, device, backend, threads, createdAt, seconds } = provenance;
  const skipped = skippedShards!.length === 0 ? '' : `, without ${skippedShards!.length} skipped shards`;
  const computed = backend === 'none' ? '' : `, ${backend}`;
  return [
    `${name}  ${formatBytes(bytes!)} in ${files} files${skipped}, ${formatDuration(seconds)} on ${device} (${threads} ${threads === 1 ? 'thread' : 'threads'})`,
    `   ${createdAt.slice(0, 19)}, ${codeVersion}${computed}, ${machine}`,
  ];
}

function nameOf({ stage, key }: ArtifactId): string {
  return `${stage}/${key}`;
}

function toFeature(text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Give a whole number from 0 up.');
}
