// The `saeflow` command: its subcommands, and the one place where an error becomes a message and an exit code.
import { Command } from 'commander';
import { buildsCommand } from './commands/builds.ts';
import { controlCommands } from './commands/control.ts';
import { costCommand } from './commands/cost.ts';
import { demoCommand } from './commands/demo.ts';
import { doctorCommand } from './commands/doctor.ts';
import { exportCommand } from './commands/export.ts';
import { gcCommand } from './commands/gc.ts';
import { labelCommand } from './commands/label.ts';
import { lineageCommand } from './commands/lineage.ts';
import { lsCommand } from './commands/ls.ts';
import { openCommand } from './commands/open.ts';
import { planCommand } from './commands/plan.ts';
import { priorityCommand } from './commands/priority.ts';
import { publishCommand } from './commands/publish.ts';
import { repairCommand } from './commands/repair.ts';
import { replayCommand } from './commands/replay.ts';
import { reportCommand } from './commands/report.ts';
import { runCommand } from './commands/run.ts';
import { scheduleCommand } from './commands/schedule.ts';
import { serveCommand } from './commands/serve.ts';
import { serverCommand } from './commands/server.ts';
import { setupCommand } from './commands/setup.ts';
import { statusCommand } from './commands/status.ts';
import { stopCommand } from './commands/stop.ts';
import { verifyCommand } from './commands/verify.ts';
import { workerCommand } from './commands/worker.ts';
import { describeError, Stopped } from './errors.ts';

const program = new Command('saeflow')
  .description('Durable sparse-autoencoder runs: tokenize, train a transformer, sample activations, train SAEs, export a feature dashboard.')
  .showHelpAfterError('(add --help for options and examples)')
  .addHelpText('after', '\nExamples:\n  $ saeflow demo                        from nothing to a dashboard\n  $ saeflow plan --preset monosemantic  what the real thing takes\n  $ saeflow report --json               the numbers of the newest run');

for (const command of [demoCommand(), runCommand(), planCommand(), statusCommand(), reportCommand(), lsCommand(), openCommand(), publishCommand(), exportCommand(), labelCommand(), ...controlCommands(), priorityCommand(), scheduleCommand(), verifyCommand(), repairCommand(), gcCommand(), lineageCommand(), costCommand(), workerCommand(), buildsCommand(), replayCommand(), serverCommand(), stopCommand(), doctorCommand(), setupCommand()]) {
  program.addCommand(command.copyInheritedSettings(program));
}
program.addCommand(serveCommand(), { hidden: true });

// A reader that went away (`saeflow demo | head`) ends the command in the same order as Ctrl-C.
let readerIsGone = false;
process.stdout.on('error', () => {
  if (!readerIsGone) process.kill(process.pid, 'SIGTERM');
  readerIsGone = true;
});

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof Stopped) process.exitCode = error.exitCode;
  else {
    console.error(describeError(error));
    process.exitCode = 1;
  }
}
