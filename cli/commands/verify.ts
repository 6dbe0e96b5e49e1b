// `saeflow verify`: re-hashes what was stored, so that a damaged byte is found before it is built upon.
import { Command } from 'commander';
import { verifyArtifact, type VerificationProblem } from '../../data/artifact.ts';
import { openStore, type ArtifactStore } from '../../data/artifactStore.ts';
import { absentShards, isConsumed } from '../../data/shardFiles.ts';
import { UserError } from '../../schemas/errors.ts';
import type { ArtifactId } from '../../schemas/stages.ts';
import { findArtifacts } from '../artifacts.ts';
import { removeDamaged } from '../repair.ts';
import { storeUri } from '../state.ts';
import { addExamples, addStoreOption } from './options.ts';

export function verifyCommand(): Command {
  const command = new Command('verify')
    .description('re-hash every file of a run, or of one artifact and all it was made from; exit code 1 if one differs')
    .argument('[what]', 'a run (name, name/hash, workflow id), or <stage>/<key> (default: the newest run)');
  command.option('--repair', 'remove what is damaged, so that the next run makes it anew');
  addStoreOption(command);
  addExamples(command, 'verify', 'verify demo', 'verify sampleActivations/3f1c', 'verify --repair');
  return command.action(async (what: string | undefined, { store: option, repair }: { store?: string; repair?: boolean }) => {
    const uri = storeUri(option);
    const store = openStore(uri);
    const artifacts = await findArtifacts(uri, what);
    const problems: VerificationProblem[] = [];
    for (const artifact of artifacts) {
      const found = await verifyArtifact(store, artifact, { ancestors: artifacts.length === 1 });
      problems.push(...found);
      console.log(`${found.length === 0 ? 'ok     ' : 'DAMAGED'}  ${artifact.stage}/${artifact.key}${artifacts.length === 1 ? ' and what it was made from' : ''}${await describeConsumed(store, artifact)}`);
    }
    if (problems.length === 0) return;
    if (repair) {
      for (const line of await removeDamaged(store, problems)) console.log(line);
      console.log('run the same configuration again: only what was removed is made anew');
      return;
    }
    const lines = problems.map(({ path, expected, found }) => `${store.uri}/${path}: ${expected} expected, ${found} found`);
    throw new UserError(
      `${problems.length === 1 ? 'one file is' : `${problems.length} files are`} not what was written:\n${lines.join('\n')}`,
      'Run saeflow verify --repair, which removes what is damaged, then the same run again: only what was removed is made anew.',
    );
  });
}

/** Shards that were deleted when they had been read are no damage. */
async function describeConsumed(store: ArtifactStore, artifact: ArtifactId): Promise<string> {
  if (artifact.stage !== 'sampleActivations' || !(await isConsumed(store, artifact))) return '';
  const absent = await absentShards(store, artifact);
  return absent === 0 ? '' : ` (${absent} shards were consumed: deleted when they had been read, made again when they are asked for)`;
}
