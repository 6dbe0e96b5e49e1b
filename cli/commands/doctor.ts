// `saeflow doctor`: what this machine has of what a run needs.
import { Command } from 'commander';
import { diagnose, printFindings } from '../../setup/doctor.ts';
import { addExamples } from './options.ts';

export function doctorCommand(): Command {
  const command = new Command('doctor').description('examine this machine: what is there, what is missing, what to do about it');
  addExamples(command, 'doctor');
  return command.action(async () => {
    const findings = await diagnose();
    printFindings(findings);
    if (findings.some(({ status }) => status === 'fail')) process.exitCode = 1;
  });
}
