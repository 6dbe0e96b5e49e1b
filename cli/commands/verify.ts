// `saeflow verify`: re-hashes what was stored, so that a damaged byte is found before it is built upon.
import { Command } from 'commander';
import { openStore } from '../../data/artifactStore.ts';
import { UserError } from '../../schemas/errors.ts';
import { findArtifacts } from '../artifacts.ts';
import { describeDamage, findDamage } from '../damage.ts';
import { storeUri } from '../state.ts';
import { addExamples, addStoreOption } from './options.ts';

export function verifyCommand(): Command {
  const command = new Command('verify')
    .description('re-hash every file of a run, or of one artifact and all it was made from; names what was made from a damaged one; exit code 1 if a file differs')
    .argument('[what]', 'a run (name, name/hash, workflow id), or <stage>/<key> (default: the newest run)');
  addStoreOption(command);
  addExamples(command, 'verify', 'verify demo', 'verify sampleActivations/3f1c');
  return command.action(async (what: string | undefined, { store: option }: { store?: string }) => {
    const uri = storeUri(option);
    const store = openStore(uri);
    const damaged = await findDamage(store, await findArtifacts(uri, what), console.log);
    if (damaged.length === 0) return;
    const files = damaged.reduce((sum, { problems }) => sum + problems.length, 0);
    throw new UserError(
      `${files === 1 ? 'one file is' : `${files} files are`} not what was written:\n${(await describeDamage(store, damaged)).join('\n')}`,
      `Run saeflow repair${what === undefined ? '' : ` ${what}`}, which makes what is damaged anew.`,
    );
  });
}
