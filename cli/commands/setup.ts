// `saeflow setup`: native TensorFlow and Temporal, as `npm run setup` installs them.
import { Command } from 'commander';
import { addExamples } from './options.ts';

export function setupCommand(): Command {
  const command = new Command('setup').description('install native TensorFlow and Temporal into the cache, if they are not there');
  addExamples(command, 'setup');
  return command.action(async () => {
    await import('../../setup/main.ts');
  });
}
